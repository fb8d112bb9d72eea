# Reads scripts/kernels/refusals and then what guests wrote, a file a kernel (scripts/kernels/guest says how), and
# prints what failed, a table of kernels by checks, and how many passed. Ends with 1 if one failed, if nothing was
# checked, or if there are not as many kernels as `expected`.

function trimmed(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# A version as one number; what it lacks is `rest`.
function number(version, rest,    parts, count) {
    sub(/[^0-9.].*/, "", version)
    count = split(version, parts, ".")
    return parts[1] * 1000000 + (count > 1 ? parts[2] : rest) * 1000 + (count > 2 ? parts[3] : rest)
}

function is_in(version, range,    dash) {
    dash = index(range, "-")
    if (!dash) return number(version, 0) >= number(range, 0) && number(version, 0) <= number(range, 999)
    if (dash > 1 && number(version, 0) < number(substr(range, 1, dash - 1), 0)) return 0
    return dash == length(range) || number(version, 0) <= number(substr(range, dash + 1), 999)
}

# Whether a command may be refused; sets `reason`.
function may_refuse(kernel, check, text,    i) {
    for (i = 1; i <= refusals; i++)
        if (refused_check[i] == check && is_in(release[kernel], refused_range[i]) && index(text, refused_words[i])) {
            reason = refused_reason[i]
            return 1
        }
    return 0
}

# Whether the check puts a huge page into the kernel's own pool, and so must find out that the kernel is broken.
function finds_it_out() {
    return check == "kernel --measure" || check == "bench --peers kernel" || check == "kernel --page-tables"
}

# Takes in the command before, when all of its output is there.
function settle(    cell, verdict, why) {
    if (check == "") return
    if (!(check in seen)) {
        seen[check] = 1
        order[++checks] = check
    }
    cell = kernel SUBSEP check
    if (code == 0) {
        verdict = "ok"
        # What the kernel itself does wrong must be found.
        if (is_broken[kernel] && finds_it_out()) {
            verdict = "FAIL"
            why = "this kernel's own HVO is broken, and it does not say so"
        }
    } else if (code == 4) {
        verdict = may_refuse(kernel, check, output) ? "refused" : "FAIL"
        why = "refused, against scripts/kernels/refusals"
    } else if (code == 5 && check == "own HVO") {
        verdict = "broken"
        is_broken[kernel] = 1
        why = "this kernel's own HVO is broken"
    } else if (is_broken[kernel] && (check ~ /^taint after/ || (finds_it_out() && code == 2))) {
        verdict = "broken"
        why = "found on a kernel that is broken itself"
    } else {
        verdict = "FAIL"
        why = "exit code " code
    }
    if (verdict == "refused") note(cell, reason)
    if (verdict == "FAIL" || verdict == "broken")
        printf "%s  %s: %s: %s\n      %s\n%s", verdict, release[kernel], check, why, command, output
    if (rank[verdict] > rank[result[cell]]) result[cell] = verdict
    check = ""
}

function note(cell, text) {
    if (!(text in note_number)) {
        note_number[text] = ++notes
        note_text[notes] = text
    }
    if (!index(cell_notes[cell] " ", " " note_number[text] " "))
        cell_notes[cell] = cell_notes[cell] " " note_number[text]
}

BEGIN {
    FS = "\t"
    rank["ok"] = 1
    rank["refused"] = 2
    rank["broken"] = 3
    rank["FAIL"] = 4
}

FNR == NR {
    if ($0 ~ /^#/ || split($0, fields, "|") != 4) next
    refused_range[++refusals] = trimmed(fields[1])
    refused_check[refusals] = trimmed(fields[2])
    refused_words[refusals] = trimmed(fields[3])
    refused_reason[refusals] = trimmed(fields[4])
    next
}

FNR == 1 {
    settle()
    kernel++
    release[kernel] = "?"
}

/^@ release\t/ {
    settle()
    release[kernel] = $4
    sub(/-cloud-amd64$/, "", release[kernel])
    next
}

/^@ / {
    settle()
    check = substr($1, 3)
    code = $2
    command = $4
    output = ""
    next
}

/^\| / { output = output "      " substr($0, 3) "\n" }

END {
    settle()
    for (k = 1; k <= kernel; k++) {
        width[k] = length(release[k])
        for (c = 1; c <= checks; c++) {
            cell = k SUBSEP order[c]
            shown = result[cell]
            if (shown == "") shown = "-"
            if (shown == "refused") {
                numbers = substr(cell_notes[cell], 2)
                gsub(/ /, ", ", numbers)
                shown = "refused: " numbers
            }
            if (shown == "FAIL") failed++
            if (shown == "broken") broken++
            if (shown == "ok" || shown ~ /^refused/) passed++
            table[cell] = shown
            if (length(shown) > width[k]) width[k] = length(shown)
            if (length(order[c]) > name_width) name_width = length(order[c])
        }
    }
    if (name_width < 5) name_width = 5
    print ""
    line = sprintf("| %-" name_width "s |", "Linux")
    rule = "|---"
    for (k = 1; k <= kernel; k++) {
        line = line sprintf(" %-" width[k] "s |", release[k])
        rule = rule "|---"
    }
    print line
    print rule "|"
    for (c = 1; c <= checks; c++) {
        line = sprintf("| %-" name_width "s |", order[c])
        for (k = 1; k <= kernel; k++) line = line sprintf(" %-" width[k] "s |", table[k SUBSEP order[c]])
        print line
    }
    if (notes) print "\nrefused:"
    for (i = 1; i <= notes; i++) print i ". " note_text[i]
    for (k = 1; k <= kernel; k++)
        if (is_broken[k])
            print "\nbroken: the own HVO of " release[k] " loses memory or spoils it; vmemmap has no part in it"
    print ""
    if (expected != "" && kernel != expected) {
        print "FAIL  " expected - kernel " of " expected " kernels have no result at all"
        failed += expected - kernel
    }
    if (passed + broken + failed == 0) {
        print "FAIL  nothing was checked"
        failed++
    }
    print passed + 0 " passed, " failed + 0 " failed"
    exit failed > 0
}
