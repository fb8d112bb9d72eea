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

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "vmemmap-emulator",
    products: [
        .library(name: "VmemmapEmulator", targets: ["VmemmapEmulator", "HostMemory"]),
        .executable(name: "vmemmap", targets: ["vmemmap"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
    ],
    targets: [
        // Layers, lowest first. Each may import those above it in this list, never those below.
        .target(name: "CSystemShims", path: "CSystemShims", cSettings: cSettings),
        .target(name: "HostMemory", dependencies: ["CSystemShims", system], swiftSettings: swiftSettings),
        .target(
            name: "VmemmapEmulator", dependencies: ["CSystemShims", "HostMemory", system],
            swiftSettings: swiftSettings),
        // The bare C loop that the engine is measured against. Nothing but Experiments may use it.
        .target(name: "CFloor", cSettings: cSettings),
        .target(
            name: "Experiments", dependencies: ["VmemmapEmulator", "HostMemory", "CFloor", histogram, system],
            swiftSettings: swiftSettings),
        .target(
            name: "Reports", dependencies: ["Experiments", "VmemmapEmulator", "HostMemory"],
            swiftSettings: swiftSettings),
        .executableTarget(
            name: "vmemmap",
            dependencies: [
                "Experiments", "Reports", "VmemmapEmulator", "HostMemory", system,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),

        .testTarget(
            name: "HostMemoryTests", dependencies: ["HostMemory", "CSystemShims", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VmemmapEmulatorTests", dependencies: ["VmemmapEmulator", "HostMemory", "CSystemShims", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "ExperimentsTests",
            dependencies: ["Experiments", "Reports", "VmemmapEmulator", "HostMemory", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "ReportsTests", dependencies: ["Reports", "Experiments", "VmemmapEmulator", "HostMemory"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CommandTests",
            dependencies: ["vmemmap", "Experiments", "VmemmapEmulator", "HostMemory", subprocess, system],
            swiftSettings: swiftSettings),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu17
)

// The fuzz targets (scripts/check --fuzz) are there only when asked for: everything is built with libFuzzer's instrumentation
// then, and the command as a library whose arguments can be fuzzed.
if Context.environment["VMEMMAP_FUZZ"] != nil {
    let fuzzer = SwiftSetting.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library", "-enable-testing"])
    let linkFuzzer = LinkerSetting.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])
    let parser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

    package.products = []
    package.targets.removeAll { $0.type == .test }
    package.targets = package.targets.map { target in
        guard let settings = target.swiftSettings else { return target }
        target.swiftSettings = settings + [fuzzer]
        guard target.type == .executable else { return target }
        let entry = ["-entry-point-function-name", "vmemmap_main"].flatMap { ["-Xfrontend", $0] }
        return .target(
            name: target.name, dependencies: target.dependencies,
            swiftSettings: settings + [fuzzer, .unsafeFlags(entry)])
    }
    package.targets.append(.target(name: "FuzzSupport", path: "scripts/fuzz/Support", swiftSettings: swiftSettings))
    package.targets += [
        ("ProcFiles", ["HostMemory", system]), ("PoolScripts", ["Experiments", "VmemmapEmulator", "HostMemory"]),
        ("Arguments", ["vmemmap", "Experiments", "VmemmapEmulator", "HostMemory", parser]),
    ].map { (name: String, dependencies: [Target.Dependency]) in
        .executableTarget(
            name: "Fuzz" + name, dependencies: ["FuzzSupport"] + dependencies, path: "scripts/fuzz/" + name,
            swiftSettings: swiftSettings + [fuzzer], linkerSettings: [linkFuzzer])
    }
}
