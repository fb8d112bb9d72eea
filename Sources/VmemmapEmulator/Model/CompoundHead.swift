package import HostMemory

/// How a struct page leads to its head, in each scheme's encoding.
package enum CompoundHead {
    /// What a reader has to make of the word.
    package enum Encoding: Hashable, Sendable {
        /// A tail holds its head's address: ``decoded(_:at:)``.
        case pointer
        /// So it does, and there are struct pages that look like heads and are not:
        /// ``throughFakeHead(_:at:pageSize:next:)``.
        case pointerBesideFakeHeads
        /// A tail holds a mask: ``masked(_:at:)``.
        case mask

        /// The head of the struct page at `address`: the one function through which every reader of a region finds it.
        ///
        /// - Parameters:
        ///   - word: the word in its compound_head.
        ///   - address: the struct page.
        ///   - geometry: the huge pages that it belongs to.
        ///   - load: loads a word; asked for the next struct page's compound_head where there are fake heads.
        @inline(__always)
        func head(
            _ word: UInt64, at address: Address, _ geometry: Geometry, load: (Address) -> UInt64
        ) -> Address {
            switch self {
            case .pointer: CompoundHead.decoded(word, at: address)
            case .mask: CompoundHead.masked(word, at: address)
            case .pointerBesideFakeHeads:
                CompoundHead.throughFakeHead(word, at: address, pageSize: geometry.basePageSize) {
                    load(address + geometry.structPageSize + StructPage.compoundHeadOffset)
                }
            }
        }
    }

    /// What a tail of the huge page at `head` holds: the head's address with bit 0 set (`set_compound_head()`), or a
    /// mask with bit 0 set, the same for every huge page of the order, for struct pages of a power of two.
    package static func tailWord(
        _ encoding: Encoding, head: Address, order: Int, structPageSize: ByteCount = StructPage.size
    ) -> UInt64 {
        switch encoding {
        case .pointer, .pointerBesideFakeHeads: UInt64(head.rawValue) | 1
        case .mask: ~0 << UInt64(order + structPageSize.rawValue.trailingZeroBitCount) | 1
        }
    }

    /// The head of the struct page at `address`, given the `word` in its compound_head: the pointer encoding, for
    /// struct pages that are what they look like. `compound_head()` up to Linux 5.17.
    @inline(__always)
    package static func decoded(_ word: UInt64, at address: Address) -> Address {
        word & 1 == 1 ? Address(UInt(word &- 1)) : address
    }

    /// The head in the head scheme, in which the first struct page of a tail vmemmap page looks like a head: the struct
    /// page after it, in the same vmemmap page, knows better. `compound_head()` with `page_fixed_fake_head()`.
    ///
    /// The kernel looks for PG_head before it asks the next struct page. Here that test is left out: a restore that
    /// falls between the two loads would make the fake head look like no head at all, and the struct page be taken for
    /// its own head. Without it either order gives the right answer, since a struct page is followed by a tail only if
    /// both belong to one compound page.
    ///
    /// - Parameters:
    ///   - word: the word in compound_head of the struct page at `address`.
    ///   - address: the struct page.
    ///   - pageSize: a vmemmap page, a power of two.
    ///   - next: loads the word of the struct page after it; asked only at the start of a vmemmap page.
    @inline(__always)
    package static func throughFakeHead(
        _ word: UInt64, at address: Address, pageSize: ByteCount, next: () -> UInt64
    ) -> Address {
        if word & 1 == 1 { return Address(UInt(word &- 1)) }
        guard address.rawValue & UInt(bitPattern: pageSize.rawValue &- 1) == 0 else { return address }
        return decoded(next(), at: address)
    }

    /// The head in the shared-tail scheme, branch-free: the address under the mask, if bit 0 says that there is one.
    /// `compound_head()` of Linux 7.1.
    @inline(__always)
    package static func masked(_ word: UInt64, at address: Address) -> Address {
        Address(address.rawValue & UInt(((word & 1) &- 1) | word))
    }
}
