// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let cSettings: [CSetting] = [
    .treatAllWarnings(as: .error),
    .enableWarning("all"),
    .enableWarning("extra"),
]

// scripts/install names the commit that it builds, for --version.
let commit = (Context.environment["VMEMMAP_COMMIT"] ?? "").filter { $0.isLetter || $0.isNumber || $0 == "+" }
let commitSettings: [CSetting] = commit.isEmpty ? [] : [.define("VMEMMAP_COMMIT", to: "\"\(commit)\"")]

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let parser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "vmemmap-emulator",
    products: [
        .library(name: "VmemmapEmulator", targets: ["VmemmapEmulator", "HostMemory"]),
        .executable(name: "vmemmap", targets: ["vmemmap"]),
    ],
    dependencies: [
        // Commands, options, help, completions and manual pages.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        // File descriptors, paths and errno.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        // Tests run the command as users do.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
        // scripts/docs builds the documentation.
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
    ],
    targets: [
        // Layers, lowest first. Each may import those above it in this list, never those below.
        .target(name: "CSystemShims", path: "CSystemShims", cSettings: cSettings + commitSettings),
        .target(name: "HostMemory", dependencies: ["CSystemShims", system], swiftSettings: swiftSettings),
        // Reads the kernel's own page tables.
        .target(name: "KernelMemory", dependencies: ["HostMemory", system], swiftSettings: swiftSettings),
        // Equipment of experiments and tests: faults, scarcity, host settings, children, the host's own pools and KSM.
        .target(name: "HostLab", dependencies: ["CSystemShims", "HostMemory", system], swiftSettings: swiftSettings),
        .target(
            name: "VmemmapEmulator", dependencies: ["CSystemShims", "HostMemory", system],
            swiftSettings: swiftSettings),
        // The C baseline that the engine is measured against.
        .target(name: "CBaseline", cSettings: cSettings),
        .target(
            name: "VmemmapTool",
            dependencies: ["VmemmapEmulator", "KernelMemory", "HostLab", "HostMemory", "CBaseline", system, parser],
            swiftSettings: swiftSettings),
        .executableTarget(name: "vmemmap", dependencies: ["VmemmapTool"], swiftSettings: swiftSettings),

        .testTarget(
            name: "HostMemoryTests", dependencies: ["HostLab", "HostMemory", "CSystemShims", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "KernelMemoryTests", dependencies: ["KernelMemory", "HostLab", "HostMemory", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VmemmapEmulatorTests",
            dependencies: ["VmemmapEmulator", "HostLab", "HostMemory", "CSystemShims", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VmemmapToolTests",
            // The executable is run by the tests of commands, so that it is built before them.
            dependencies: [
                "vmemmap", "VmemmapTool", "VmemmapEmulator", "KernelMemory", "HostLab", "HostMemory", subprocess,
                system,
            ],
            // Fixed results and their reports, which tests read from the repository.
            exclude: ["Bench", "Demo", "Inspect", "Kernel", "Plan", "Savings", "Stress"].map { $0 + "/Snapshots" },
            swiftSettings: swiftSettings),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu17
)

// The engine's tests take a third of the processor's time where what they test is optimized (scripts/test). A package
// that another depends on may have no such flags: so only where they are asked for.
if Context.environment["VMEMMAP_OPTIMIZED_TESTS"] != nil {
    for target in package.targets where ["HostMemory", "HostLab", "VmemmapEmulator"].contains(target.name) {
        target.swiftSettings?.append(.unsafeFlags(["-O"], .when(configuration: .debug)))
    }
}

// The fuzz targets (scripts/check --fuzz) are there only when asked for: everything is built with libFuzzer's
// instrumentation then.
if Context.environment["VMEMMAP_FUZZ"] != nil {
    let fuzzer = SwiftSetting.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library", "-enable-testing"])
    let linkFuzzer = LinkerSetting.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])

    package.products = []
    package.targets.removeAll { $0.type == .test || $0.type == .executable }
    for target in package.targets { target.swiftSettings?.append(fuzzer) }
    package.targets.append(.target(name: "FuzzSupport", path: "scripts/fuzz/Support", swiftSettings: swiftSettings))
    package.targets += [
        ("ProcFiles", ["HostLab", "HostMemory", system]), ("KernelMemory", ["KernelMemory", "HostMemory", system]),
        ("PoolScripts", ["VmemmapTool", "VmemmapEmulator", "HostMemory"]),
        ("Arguments", ["VmemmapTool", "VmemmapEmulator", "HostMemory", parser]),
    ].map { (name: String, dependencies: [Target.Dependency]) in
        .executableTarget(
            name: "Fuzz" + name, dependencies: ["FuzzSupport"] + dependencies, path: "scripts/fuzz/" + name,
            swiftSettings: swiftSettings + [fuzzer], linkerSettings: [linkFuzzer])
    }
}
