import HostMemory

// Loops to be timed: nothing but reads, and a sum that keeps them from being left out.
extension VmemmapRegion {
    /// The sum of the heads' addresses that readers find for some frames, each of this region; it wraps around.
    @inline(never)
    package func sumOfHeads(of frames: [UInt32]) -> UInt {
        let (layout, encoding) = (layout, plan.encoding)
        let geometry = layout.geometry
        // One loop for each encoding: the choice is not what is measured.
        switch encoding {
        case .pointer:
            return sum(frames) { CompoundHead.decoded($1, at: $0) }
        case .mask:
            return sum(frames) { CompoundHead.masked($1, at: $0) }
        case .pointerBesideFakeHeads:
            let next = geometry.structPageSize + StructPage.compoundHeadOffset
            return sum(frames) { address, word in
                CompoundHead.throughFakeHead(word, at: address, pageSize: geometry.basePageSize) {
                    // SAFETY: the struct page behind the first of a vmemmap page lies in the same page.
                    unsafe MemoryAccess.load(address + next)
                }
            }
        }
    }

    /// The sum of the words in their compound_head, of which nothing is made.
    @inline(never)
    package func sumOfWords(of frames: [UInt32]) -> UInt { sum(frames) { Address(UInt($1)) } }

    @inline(__always)
    private func sum(_ frames: [UInt32], _ head: (Address, UInt64) -> Address) -> UInt {
        let (base, size) = (layout.base, layout.geometry.structPageSize.rawValue)
        var sum: UInt = 0
        for frame in frames {
            let address = base + ByteCount(Int(frame) &* size)
            // SAFETY: the caller's frames are of this region, which is readable as long as it lives.
            let word = unsafe MemoryAccess.load(address + StructPage.compoundHeadOffset)
            sum &+= head(address, word).rawValue
        }
        return sum
    }
}
