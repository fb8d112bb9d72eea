package import SystemPackage

/// Where memory files take their frames.
package struct FrameStore: Sendable {
    /// From the host's memory, as much as there is (memfd).
    package static let memory = FrameStore(createFile: nil)

    /// Makes a file without a name; nil: a memfd.
    let createFile: (@Sendable (String) throws(HostError) -> FileDescriptor)?

    private init(createFile: (@Sendable (String) throws(HostError) -> FileDescriptor)?) { self.createFile = createFile }

    /// From somewhere else: the lengths of files there cannot be sealed; nobody else has them.
    package init(_ createFile: @escaping @Sendable (String) throws(HostError) -> FileDescriptor) {
        self.init(createFile: createFile)
    }
}
