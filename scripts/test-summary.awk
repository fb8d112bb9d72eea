# What people want of a test run: suites, failures, and at the end what was skipped and why, the ten slowest tests, and
# the runner's own summary, which stays the last line.
{ gsub(/\033\[[0-9;]*m/, "") }

/^◇/ { next }

/^➜ Test / {
    skipped[++skips] = substr($0, index($0, "Test "))
    next
}

/^✔ Test run / || /^✘ Test run / {
    if (skips > 0) print "Skipped:"
    for (i = 1; i <= skips; i++) print "  " skipped[i]
    if (count > 0) print "Slowest:"
    for (i = 1; i <= count && i <= 10; i++) printf "  %7.1f s  %s\n", seconds[i], name[i]
    print
    fflush()
    skips = count = 0
    next
}

/^✔ Test / || /^✘ Test .* failed after / {
    if (match($0, / after [0-9.]+ seconds/)) {
        time = substr($0, RSTART + 7, RLENGTH - 15) + 0
        text = substr($0, index($0, "Test ") + 5, RSTART - index($0, "Test ") - 5)
        sub(/ (passed|failed)$/, "", text)
        # In order, the longest first; no more than ten are kept.
        place = count < 10 ? ++count : 11
        if (place == 11) { if (time <= seconds[10]) place = 0; else place = 10 }
        if (place > 0) {
            while (place > 1 && seconds[place - 1] < time) {
                seconds[place] = seconds[place - 1]; name[place] = name[place - 1]; place--
            }
            seconds[place] = time; name[place] = text
        }
    }
    if ($0 ~ /^✔/) next
}

{ print; fflush() }
