import Glibc
package import SystemPackage

extension HostKernel {
    /// The columns of the terminal that a descriptor is; nil if it is none, or does not say. The corresponding C
    /// function is `ioctl` with TIOCGWINSZ.
    package static func terminalColumns(_ file: FileDescriptor) -> Int? {
        var size = winsize()
        // SAFETY: the kernel fills in the structure, which is the one that TIOCGWINSZ takes.
        let result = unsafe ioctl(file.rawValue, UInt(TIOCGWINSZ), &size)
        return result == 0 && size.ws_col > 0 ? Int(size.ws_col) : nil
    }

    /// Those of the named variables of the environment that are set. The corresponding C function is `getenv`.
    package static func environment(_ names: [String]) -> [String: String] {
        var values: [String: String] = [:]
        for name in names {
            // SAFETY: nobody in this process changes its environment, so the string stays where it is.
            if let value = unsafe getenv(name) { values[name] = unsafe String(cString: value) }
        }
        return values
    }
}
