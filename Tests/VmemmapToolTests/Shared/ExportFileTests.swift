import Glibc
import Testing

/// Each script runs in an empty folder of its own, with the command as "$0"; what it prints is what is left to look at.
@Suite("Files of exports")
struct ExportFileTests {
    @Test("A name that is too long is told as that")
    func tooLong() async throws {
        let outcome = try await Command.run(["plan", "--export-json", "/tmp/" + String(repeating: "a", count: 300)])
        #expect(outcome.code == 64, "\(outcome)")
        #expect(outcome.error.contains("a name has at most 255 bytes and a path 4095: use a shorter one"), "\(outcome)")
    }

    @Test("A link is followed: its target is replaced, and keeps who may read it")
    func link() async throws {
        let outcome = try await Command.shell(
            """
            echo old > file; chmod 600 file; ln -s file first; ln -s $PWD/first second; before=$(stat -c %i file)
            "$0" plan -q --export-json second
            stat -c '%N %a' first second file; [ $before != $(stat -c %i file) ] && head -c 1 file
            """)
        #expect(outcome.output.contains("'first' -> 'file' 777\n"), "\(outcome)")
        #expect(outcome.output.hasSuffix("/first' 777\n'file' 600\n{"), "\(outcome)")
    }

    @Test("A link to nothing has its target made")
    func danglingLink() async throws {
        let outcome = try await Command.shell(
            """
            mkdir folder; ln -s folder/file link; "$0" plan -q --export-json link; stat -c %N link; head -c 1 \
            folder/file
            """)
        #expect(outcome.output == "'link' -> 'folder/file'\n{", "\(outcome)")
    }

    @Test("A file with two names keeps both, and what was longer in it is gone")
    func hardLink() async throws {
        let outcome = try await Command.shell(
            """
            head -c 1000000 /dev/zero > file; ln file other; "$0" plan -q --export-json file
            stat -c %h file; head -c 1 other; tail -c 2 other
            """)
        #expect(outcome.output == "2\n{}\n", "\(outcome)")
    }

    @Test("A pipe by name and a process substitution get the export, and are at their end after it")
    func pipes() async throws {
        let outcome = try await Command.shell(
            """
            mkfifo pipe; cat pipe > read & "$0" plan -q --export-json pipe; wait
            stat -c %F pipe; head -c 1 read; tail -c 2 read
            "$0" plan -q --export-json >(cat > substituted); wait $!; head -c 1 substituted; ls
            """)
        #expect(outcome.output == "fifo\n{}\n{pipe\nread\nsubstituted\n", "\(outcome)")
    }

    @Test(
        "A device is written to, and stays one",
        .enabled("needs to make device files: root, and a /tmp that allows them") {
            try await Command.shell("mknod null c 1 3 && echo > null").code == 0
        })
    func device() async throws {
        let outcome = try await Command.shell(
            """
            mknod null c 1 3; mknod full c 1 7; mknod disk b 7 99
            "$0" plan -q --export-json null; echo $?
            "$0" plan --export-json full --export-csv csv; echo $?
            "$0" plan -q --export-json disk; echo $?
            stat -c %F null full; ls
            """)
        #expect(outcome.output.hasPrefix("0\nvmemmap plan"), "\(outcome)")
        #expect(
            outcome.output.hasSuffix(
                "\n3\n64\ncharacter special file\ncharacter special file\ncsv\ndisk\nfull\nnull\n"), "\(outcome)")
        #expect(outcome.error.contains("cannot write the export full: write of full: No space left on device"))
        #expect(outcome.error.contains("cannot write the export disk: it is a block device"))
    }

    @Test(
        "An ordinary user writes to a device too",
        .enabled(if: geteuid() != 0, "as root it would be the host's own device that a mistake replaces"))
    func deviceAsUser() async throws {
        let outcome = try await Command.shell(
            """
            "$0" plan -q --export-json /dev/null; echo $?
            "$0" plan -q --export-json /dev/full --export-csv csv; echo $?; ls
            """)
        #expect(outcome.output == "0\n3\ncsv\n", "\(outcome)")
    }

    @Test(
        "A name with control characters stays on the line of the command line, and a shell takes it for the same name")
    func controlCharacters() async throws {
        let outcome = try await Command.shell(
            #"""
            file=$'a\nb\e[1m\t\'\\7 |.md'
            "$0" plan -q --export-markdown "$file"
            words=$(sed -n 's/^    vmemmap //p' "$file")
            vmemmap() { printf %s "${@: -1}"; }
            eval "vmemmap $words" | cmp - <(printf %s "$file") && echo same
            """#)
        #expect(outcome.output == "same\n", "\(outcome)")
    }

    @Test("A name for standard output, and the file that it goes to, are standard output")
    func standardOutput() async throws {
        let outcome = try await Command.shell(
            """
            ln -s /proc/self/fd/1 stream; "$0" plan --export-json stream > file; head -c 1 file; tail -c 2 file
            "$0" plan --export-json file > file; head -c 1 file; tail -c 2 file
            "$0" plan --export-json stream | { head -c 1; tail -c 2; }; ls
            """)
        #expect(outcome.output == "{}\n{}\n{}\nfile\nstream\n", "\(outcome)")
    }

    @Test("What a descriptor names is written through it, behind what is there already; one to read is refused")
    func descriptor() async throws {
        let outcome = try await Command.shell(
            """
            ln -s /dev/fd/3 link
            for name in /dev/fd/3 /proc/self/fd/3 link; do
                exec 3> file; echo first >&3; "$0" plan -q --export-json $name; echo last >&3; exec 3>&-
                head -n 2 file; tail -n 1 file
            done
            echo old >> appended; exec 3>> appended; "$0" plan -q --export-json /dev/fd/3; head -n 2 appended
            exec 3< file; "$0" plan -q --export-json /dev/fd/3; echo $?; head -n 1 file; ls
            """)
        let written = String(repeating: "first\n{\nlast\n", count: 3)
        #expect(outcome.output == written + "old\n{\n64\nfirst\nappended\nfile\nlink\n", "\(outcome)")
        #expect(outcome.error.contains("cannot write the export /dev/fd/3: it is open for reading only"))
    }

    @Test("The file that a command reads is no place for its export")
    func input() async throws {
        let outcome = try await Command.shell(
            """
            echo boot memory=16M | tee s > t; ln -s s link
            "$0" pool s --export-json link; echo $?; "$0" pool --export-json s < s; echo $?
            "$0" pool - -q --export-json /dev/stdin < s; echo $?; cat s
            "$0" kernel --replay s --export-csv s; echo $?
            "$0" kernel --existing --record same --export-json same; echo $?; ls
            """)
        #expect(outcome.output == "64\n64\n64\nboot memory=16M\n64\n64\nlink\ns\nt\n", "\(outcome)")
        #expect(outcome.error.contains("would replace the file that is read (s)"))
        #expect(outcome.error.contains("two exports cannot both go to same"))
    }

    @Test(
        "A file system without room for a name is said to be that, with what helps",
        .enabled(if: geteuid() == 0, "a file system of its own takes root"))
    func noInodes() async throws {
        let outcome = try await Command.shell(
            """
            mkdir t; unshare -m sh -c 'mount --make-rprivate /; mount -t tmpfs -o nr_inodes=1 none t; "$0" plan -q \
                --export-json t/x' "$0"; echo $?
            """)
        #expect(outcome.output == "3\n", "\(outcome)")
        #expect(outcome.error.contains("(errno 28); free room or inodes there (df, df -i)"), "\(outcome)")
    }

    @Test(
        "The same file twice is refused, whatever it is called, and nothing is made or changed",
        arguments: [
            ("json", "json"), ("json", "./json"), ("new", "$PWD/new"), ("json", "link"), ("json", "other"),
            ("new", "dangling"), ("-", "-"), ("-", "stream"),
        ])
    func twice(_ first: String, _ second: String) async throws {
        let outcome = try await Command.shell(
            """
            echo old > json; ln -s json link; ln json other; ln -s new dangling; ln -s /proc/self/fd/1 stream
            "$0" demo --pages 1 --export-json \(first) --export-csv \(second); echo $?; cat json; ls
            """)
        #expect(outcome.output == "64\nold\ndangling\njson\nlink\nother\nstream\n", "\(outcome)")
        #expect(outcome.error.contains("two exports cannot both go to"))
        if first == "-" { return }
        for command in ["demo", "hold"] {
            let flags = try await Command.shell(
                """
                echo old > json; ln -s json link; ln json other; ln -s new dangling
                "$0" \(command) --pages 1 --export-json \(first) --export-kpageflags \(second); echo $?; cat json
                """)
            #expect(flags.output == "64\nold\n", "\(flags)")
        }
    }

    @Test("No link that lies in wait is followed to a file that the export does not name")
    func plantedLink() async throws {
        let outcome = try await Command.shell(
            """
            echo old > victim
            bash -c 'ln -s victim json.$$.tmp; exec "$0" plan -q --export-json json' "$0"; cat victim; head -c 1 json
            """)
        #expect(outcome.output == "old\n{", "\(outcome)")
    }

    @Test(
        "A folder that is moved during the run takes its file along; a pipe that comes in its place stays"
    )
    func movedFolder() async throws {
        let run =
            "\"$0\" stress --duration 800ms --pages 8 --walkers 1 --export-json d/o -q & sleep 0.3; mv d e; mkdir d"
        let kept = try await Command.shell(
            "mkdir d; echo old > d/o; chmod 600 d/o; \(run); wait $!; echo $?; stat -c %a e/o; head -c 1 e/o; ls d")
        #expect(kept.output == "0\n600\n{", "\(kept)")
        let pipe = try await Command.shell(
            "mkdir d; echo old > d/o; \(run); rm e/o; mkfifo e/o; wait $!; echo $?; stat -c %F e/o; ls -A d e")
        #expect(pipe.output == "3\nfifo\nd:\n\ne:\no\n", "\(pipe)")
        #expect(pipe.error.contains("cannot write the export d/o: "), "\(pipe)")
    }

    @Test("A name of 255 bytes works")
    func longName() async throws {
        let name = String(repeating: "n", count: 255)
        let outcome = try await Command.shell("\"$0\" plan -q --export-json \(name); ls; head -c 1 \(name)")
        #expect(outcome.output == name + "\n{", "\(outcome)")
    }

    @Test("A run that fails, or is ended by a signal, leaves what was there as it was, and nothing else")
    func interrupted() async throws {
        let outcome = try await Command.shell(
            """
            echo old | tee json > both; ln both name; mkfifo in out
            files='--export-json json --export-csv both --export-html new'
            "$0" demo --pages 9999999 $files; echo $?
            for signal in TERM HUP ALRM KILL; do
                "$0" pool $files < in > out & exec 4> in 3< out
                echo boot memory=16M >&4; read -r line <&3
                kill -s $signal $!; wait $! 2> /dev/null; echo $?; exec 3<&- 4>&-
            done
            cat json both; ls
            """)
        #expect(outcome.output == "3\n143\n129\n142\n137\nold\nold\nboth\nin\njson\nname\nout\n", "\(outcome)")
    }

    @Test("Where nothing may be written, the run does not begin")
    func refused() async throws {
        let outcome = try await Command.shell(
            """
            ln -s loop loop; mkdir folder; echo old > file
            for name in loop folder folder/ file/ new/ no/file file/file /proc/file; do
                "$0" plan --export-json $name 2>> error; echo $?
            done
            ls
            """)
        #expect(
            outcome.output == String(repeating: "64\n", count: 8) + "error\nfile\nfolder\nloop\n", "\(outcome)")
    }

    /// Nobody gets to do more with a file that cannot keep its group.
    @Test(
        "An ordinary user cannot write into a folder of others', nor replace their file in a sticky one",
        .enabled(if: geteuid() == 0, "only root can become an ordinary user"))
    func ordinaryUser() async throws {
        let outcome = try await Command.shell(
            """
            chmod 755 .; cp "$0" vmemmap; umask 0; mkdir closed sticky own drop; chmod 755 closed; chmod 1777 sticky; \
            chmod 1733 drop
            echo old > sticky/others; echo old > own/protected; chmod 444 own/protected; chown 65534 own own/protected
            echo old > own/shared; chmod 606 own/shared
            as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups ./vmemmap plan -q --export-json $1; echo \
            $?; }
            as_user closed/file; as_user sticky/others; as_user own/protected; as_user sticky/new; as_user \
            own/shared; as_user drop/new
            cat sticky/others own/protected; stat -c '%u %a' sticky/new own/shared; ls closed sticky own
            """)
        #expect(
            outcome.output
                == "64\n64\n64\n0\n0\n0\nold\nold\n65534 644\n65534 "
                + "600\nclosed:\n\nown:\nprotected\nshared\n\nsticky:\nnew\nothers\n",
            "\(outcome)")
        #expect(
            outcome.error.contains("cannot write the export sticky/others: it is somebody else's, in a sticky folder"))
    }

    @Test(
        "A file that is replaced keeps what is noted on it",
        .enabled("needs python3, and a /tmp with attributes") {
            try await Command.shell("touch f; python3 -c 'import os; os.setxattr(\"f\", \"user.a\", b\"b\")'").code == 0
        })
    func attributes() async throws {
        let outcome = try await Command.shell(
            """
            touch file; python3 -c 'import os; os.setxattr("file", "user.note", b"kept")'; before=$(stat -c %i file)
            "$0" plan -q --export-json file; python3 -c 'import os; print(os.getxattr("file", "user.note"))'
            head -c 1 file; [ "$before" = "$(stat -c %i file)" ] || echo replaced
            """)
        #expect(outcome.output == "b'kept'\n{replaced\n", "\(outcome)")
    }

    @Test(
        "A file that is replaced keeps its ACL",
        .enabled("needs python3, and a /tmp with ACLs") {
            try await Command.shell("touch file; python3 -c \"\(ACL.script)\" set").code == 0
        })
    func accessList() async throws {
        let outcome = try await Command.shell(
            """
            touch file; python3 -c "\(ACL.script)" set; before=$(stat -c %i file)
            "$0" plan -q --export-json file; python3 -c "\(ACL.script)"; stat -c %a file; head -c 1 file
            [ $before != $(stat -c %i file) ] && echo replaced
            """)
        #expect(outcome.output == "True\nTrue\n640\n{replaced\n", "\(outcome)")
    }

    @Test("A file that root replaces keeps its owner", .enabled(if: geteuid() == 0, "only root can give files away"))
    func owner() async throws {
        let outcome = try await Command.shell(
            "echo old > file; chown 65534:1 file; chmod 640 file; \"$0\" plan -q --export-json file; stat -c '%u %g "
                + "%a' file"
        )
        #expect(outcome.output == "65534 1 640\n", "\(outcome)")
    }
}

private enum ACL {
    /// Gives a file an ACL, or says whether it has that: the owner may read and write it, user 1 may read it, and
    /// nobody else may do anything.
    static let script = """
        import os, struct, sys
        entries = [(1, 6, -1), (2, 4, 1), (4, 0, -1), (16, 4, -1), (32, 0, -1)]
        acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *entry) for entry in entries)
        if len(sys.argv) > 1: os.setxattr('file', 'system.posix_acl_access', acl)
        print(os.getxattr('file', 'system.posix_acl_access') == acl)
        """
}
