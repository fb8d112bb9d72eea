import Synchronization

/// A list that any thread adds to and one takes from as a whole, without a lock: `llist` in the kernel.
///
/// Who adds to an empty list learns that it was empty, and it is on him to have the work scheduled: so that is done
/// once for many additions (v5 patch 10).
@safe final class LocklessList<Element: Sendable>: Sendable {
    // SAFETY: one thread at a time has a node: who makes it, until it is published, and who has taken the list.
    @safe private final class Node: @unchecked Sendable {
        let element: Element
        /// Written before the node is published, read by whoever has taken the list.
        var next: Unmanaged<Node>?

        init(_ element: Element) { self.element = element }
    }

    private let first = unsafe Atomic<Unmanaged<Node>?>(nil)

    deinit { _ = takeAll() }

    /// Adds an element, and says whether the list was empty before. `llist_add()`.
    func add(_ element: Element) -> Bool {
        let node = Node(element)
        // SAFETY: the list owns one reference to each of its nodes, from here to the take that finds it.
        let link = unsafe Unmanaged.passRetained(node)
        var head = unsafe first.load(ordering: .relaxed)
        while true {
            unsafe node.next = head
            let (exchanged, original) = unsafe first.weakCompareExchange(
                expected: head, desired: link, successOrdering: .releasing, failureOrdering: .relaxed)
            if exchanged { return unsafe head == nil }
            unsafe head = original
        }
    }

    /// Takes everything, in the order in which it was added. `llist_del_all()` and `llist_reverse_order()`.
    func takeAll() -> [Element] {
        var elements: [Element] = []
        // SAFETY: the exchange takes the whole list with its references; nobody else has them any more.
        var link = unsafe first.exchange(nil, ordering: .acquiring)
        while let taken = unsafe link {
            let node = unsafe taken.takeRetainedValue()
            elements.append(node.element)
            unsafe link = node.next
        }
        return elements.reversed()
    }

    /// Whether there is nothing in it, at this moment.
    var isEmpty: Bool { unsafe first.load(ordering: .relaxed) == nil }
}
