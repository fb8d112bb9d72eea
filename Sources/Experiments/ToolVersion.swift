/// What made a result.
public enum Tool {
    /// The name of the command.
    public static let name = "vmemmap"
    /// The version of the command and the library.
    public static let version = "0.1.0"
    /// The version of the exported form. Grows when a key changes its meaning or goes away.
    public static let schemaVersion = 1
}
