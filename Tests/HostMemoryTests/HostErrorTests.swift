import SystemPackage
import Testing

@testable import HostMemory

@Suite("Refusals")
struct HostErrorTests {
    @Test(
        "Each errno has the kind its documentation names",
        arguments: [
            (Errno.noMemory, HostError.Code.outOfMemory), (.resourceTemporarilyUnavailable, .outOfMemory),
            (.noSpace, .noSpace), (.diskQuotaExceeded, .noSpace), (.fileTooLarge, .fileTooLarge),
            (.notPermitted, .notPermitted), (.permissionDenied, .notPermitted), (.noFunction, .notSupported),
            (.notSupported, .notSupported), (.notSupportedOnSocket, .notSupported), (.readOnlyFileSystem, .readOnly),
            (.operationNotSupportedByDevice, .notSupported),
            (Errno(rawValue: 524), .notSupported),
            (.noSuchFileOrDirectory, .notSupported), (.tooManyOpenFiles, .tooManyFiles),
            (.tooManyOpenFilesInSystem, .tooManyFiles), (.interrupted, .interrupted), (.invalidArgument, .invalid),
            (.badAddress, .badAddress), (.badFileDescriptor, .badDescriptor), (.ioError, .other), (.deadlock, .other),
        ])
    func kinds(errno: Errno, code: HostError.Code) {
        #expect(HostError(errno, .move, .process).code == code)
        let isSame = errno != .resourceTemporarilyUnavailable
        for start in [HostOperation.startThread, .startProcess, .fork] {
            #expect(HostError(errno, start, .process).code == (isSame ? code : .tooManyThreads))
        }
    }

    @Test("The description tells operation, place, length and the kernel's reason")
    func description() {
        let range = AddressRange(start: Address(0x1000), length: ByteCount(8192))
        #expect(
            HostError(.noMemory, .mapFile, .addresses(range)).description
                == "mmap(MAP_SHARED | MAP_FIXED) of 0x1000-0x3000 (8192 bytes): \(Errno.noMemory) (errno 12)")
        #expect(
            HostError(.noSpace, .write, .file("tails")).description
                == "write of tails: \(Errno.noSpace) (errno 28)")
        #expect(
            HostError(.resourceTemporarilyUnavailable, .startThread, .process).description
                == "pthread_create: \(Errno.resourceTemporarilyUnavailable) (errno 11)")
    }

    @Test("An answer that does not read has no errno, and says so")
    func unreadable() {
        let error = HostError(unreadable: "/proc/self/maps")
        #expect(error.code == .unreadable)
        #expect(error.errno == nil)
        #expect(error.description == "read of /proc/self/maps: unexpected format")
    }

    @Test("Every operation has a bit and a name of its own")
    func operations() {
        #expect(Set(HostOperation.allCases.map(\.rawValue)).count == HostOperation.allCases.count)
        #expect(HostOperation.allCases.allSatisfy { $0.rawValue < 64 })
        #expect(Set(HostOperation.allCases.map(\.description)).count == HostOperation.allCases.count)
    }

    @Test("The kernel's own refusals arrive with their place")
    func realRefusals() throws {
        let missing = HostError.thrown { () throws(HostError) in _ = try HostKernel.open("/proc/self/none", .readOnly) }
        #expect(missing == HostError(.noSuchFileOrDirectory, .open, .file("/proc/self/none")))

        let region = try ScratchRegion(pages: 2)
        let crooked = AddressRange(start: region.range.start + ByteCount(1), length: region.range.length)
        let unaligned = HostError.thrown { () throws(HostError) in try HostKernel.protect(crooked, .none) }
        #expect(unaligned == HostError(.invalidArgument, .protect, .addresses(crooked)))

        let bad = HostError.thrown { () throws(HostError) in
            try region.map(FileDescriptor(rawValue: -1), over: 0..<1)
        }
        #expect(bad?.errno == .badFileDescriptor)
        #expect(bad?.place == .addresses(region.pages(0..<1)))
    }
}
