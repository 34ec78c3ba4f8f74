#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"

namespace trawl {

// A sorted set of values that is never changed: an edit makes another set, which shares with the
// one before all but the chunks that it touches. Copies cost nothing, so that a set may be kept,
// published and compared while its owner goes on editing.
//
// `KeyOf()(value)` is a value's key, comparable by < and ==, and valid for as long as the value
// stays where it is; each key is there once. The values are equal (==) if they need not be told
// apart: Diff looks at nothing else. A T is best a shared_ptr, or as cheap to copy.
//
// It is a tree: chunks of values, chunks of those, and so on up to one. Of n values of which k are
// touched, Edit copies the chunks on the way to them, and Diff looks at those that are not shared:
// O(k log n).
//
// A value type. Thread-safe when const.
template <typename T, typename KeyOf>
class ChunkedSet {
  struct Node;
  struct Place {
    const Node* node;
    size_t at;  // in node's values or parts
    friend bool operator==(const Place&, const Place&) = default;
  };

 public:
  static constexpr size_t kMaxChunk = 8;  // values of a chunk, or chunks of a larger one

  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    const_iterator() = default;
    reference operator*() const { return path_.back().node->values[path_.back().at]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      while (!path_.empty() && ++path_.back().at == path_.back().node->width()) path_.pop_back();
      if (!path_.empty()) Descend();
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    // Of two iterators of one set.
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      if (a.path_.empty() || b.path_.empty()) return a.path_.empty() == b.path_.empty();
      return a.path_.back() == b.path_.back();
    }

   private:
    friend class ChunkedSet;

    // To the first value below the end of the path.
    void Descend() {
      while (path_.back().node->IsInner()) {
        path_.push_back({path_.back().node->parts[path_.back().at].node.get(), 0});
      }
    }
    // Behind the chunk that is `height` above the values.
    void Leave(size_t height) {
      path_.resize(path_.size() - height);
      path_.back().at = path_.back().node->width() - 1;
      ++*this;
    }

    absl::InlinedVector<Place, 8> path_;  // from the root to a value; empty: at the end
  };
  using iterator = const_iterator;
  using value_type = T;

  ChunkedSet() = default;
  ChunkedSet(const ChunkedSet&) = default;  // and no moves: a set that was moved from is none
  ChunkedSet& operator=(const ChunkedSet&) = default;
  // Of equal keys the last one counts.
  ChunkedSet(std::vector<T> values) {  // NOLINT: a list of values is a set of them
    *this = Edit({}, std::move(values));
  }
  ChunkedSet(std::initializer_list<T> values) : ChunkedSet(std::vector<T>(values)) {}

  bool empty() const { return root_ == nullptr; }
  size_t size() const { return empty() ? 0 : root_->size; }
  const_iterator begin() const {
    const_iterator first;
    if (empty()) return first;
    first.path_.push_back({root_.get(), 0});
    first.Descend();
    return first;
  }
  const_iterator end() const { return {}; }
  // O(log n).
  const T& operator[](size_t position) const {
    const Node* node = root_.get();
    while (node->IsInner()) {
      auto part = node->parts.begin();
      for (; position >= part->node->size; ++part) position -= part->node->size;
      node = part->node.get();
    }
    return node->values[position];
  }

  // The first value whose key is not less.
  template <typename K>
  const_iterator LowerBound(const K& key) const;
  // Null: none.
  template <typename K>
  const T* Find(const K& key) const {
    const const_iterator found = LowerBound(key);
    return found != end() && KeyOf()(*found) == key ? &*found : nullptr;
  }

  // Without the values that have the keys of `gone`, and with `fresh`, which replace those that
  // have their keys. Any order.
  ChunkedSet Edit(const std::vector<T>& gone, std::vector<T> fresh) const;

  // Tells what is in `before` and not in `after` (gone), and the other way (fresh): a value that
  // was replaced is told as both. In the order of the keys.
  template <typename OnGone, typename OnFresh>
  static void Diff(const ChunkedSet& before, const ChunkedSet& after, OnGone on_gone,
                   OnFresh on_fresh);

 private:
  using Key = std::decay_t<std::invoke_result_t<KeyOf, const T&>>;
  using NodePtr = std::shared_ptr<const Node>;
  // A chunk among others, and the first key in it.
  struct Part {
    NodePtr node;
    Key first;
  };
  // A chunk, never empty: of values, or of chunks that are all equally high.
  struct Node {
    size_t size = 0;  // values in all
    std::vector<T> values;
    std::vector<Part> parts;

    bool IsInner() const { return !parts.empty(); }
    size_t width() const { return IsInner() ? parts.size() : values.size(); }
  };
  // What is to become of a key; the value stays alive elsewhere. `put`: there; else gone.
  struct Op {
    Key key;
    T* put;
  };
  class Row;

  // Asks for what copies of `items` will count themselves in. With cold caches these are most of an
  // edit: each would wait for the one before it. discovery_scale.sh, a group with other labels:
  // chunks of 16 without this took 4 % more on a quiet machine, a third more on a busy one.
  template <typename Item>
  static void Prefetch(const std::vector<Item>& items);
  template <typename Pointer>
  static void PrefetchShared(const Pointer& pointer) {
    // make_shared puts the counts in the 16 bytes before the object.
    const char* const object = reinterpret_cast<const char*>(pointer.get());
    __builtin_prefetch(object - 16, /*rw=*/1);
    __builtin_prefetch(object);
  }
  static std::vector<Op> SortedOps(const std::vector<T>& gone, std::vector<T>& fresh);
  static std::vector<T> EditValues(const std::vector<T>& old, std::span<const Op> ops);
  static void EditPart(const Part& part, std::span<const Op> ops, Row& row);
  static bool SkipShared(const_iterator& a, const_iterator& b);
  // Of these parts, the one that has, or would have, the key.
  template <typename Iterator, typename K>
  static Iterator PartOf(Iterator begin, Iterator end, const K& key) {
    return std::ranges::upper_bound(begin + 1, end, key, {}, &Part::first) - 1;
  }

  NodePtr root_;  // null: empty
};

// Chunks of one height, put one behind the other.
template <typename T, typename KeyOf>
class ChunkedSet<T, KeyOf>::Row {
 public:
  Row() { parts_.reserve(kMaxChunk + 2); }  // of most edits

  void Share(Part part) { Put(std::move(part), /*is_new=*/false); }

  // Values, or parts, in chunks of their own.
  template <typename Item>
  void Add(std::vector<Item> items) {
    const size_t chunks = (items.size() + kMaxChunk - 1) / kMaxChunk;
    if (chunks == 1) return Put(MakePart(std::move(items)), /*is_new=*/true);
    for (size_t i = 0; i < chunks; ++i) {
      const auto cut = [&](size_t n) {
        return std::make_move_iterator(items.begin() +
                                       static_cast<std::ptrdiff_t>(items.size() * n / chunks));
      };
      Put(MakePart(std::vector<Item>(cut(i), cut(i + 1))), /*is_new=*/true);
    }
  }

  std::vector<Part>& parts() { return parts_; }

 private:
  static Part MakePart(std::vector<T> values) {
    auto node = std::make_shared<Node>();
    node->values = std::move(values);
    node->size = node->values.size();
    Key first = KeyOf()(node->values.front());
    return {std::move(node), std::move(first)};
  }
  static Part MakePart(std::vector<Part> parts) {
    auto node = std::make_shared<Node>();
    node->parts = std::move(parts);
    for (const Part& part : node->parts) node->size += part.node->size;
    Key first = node->parts.front().first;
    return {std::move(node), std::move(first)};
  }

  template <typename Item>
  static std::vector<Item> Joined(std::vector<Item> a, const std::vector<Item>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  static Part Joined(const Node& a, const Node& b) {
    return a.IsInner() ? MakePart(Joined(a.parts, b.parts)) : MakePart(Joined(a.values, b.values));
  }

  void Put(Part part, bool is_new) {
    // Two that have become small are one.
    if (!parts_.empty() && (is_new || last_is_new_) &&
        parts_.back().node->width() + part.node->width() <= kMaxChunk / 2) {
      part = Joined(*parts_.back().node, *part.node);
      is_new = true;
      parts_.pop_back();
    }
    parts_.push_back(std::move(part));
    last_is_new_ = is_new;
  }

  std::vector<Part> parts_;
  bool last_is_new_ = false;
};

template <typename T, typename KeyOf>
template <typename K>
auto ChunkedSet<T, KeyOf>::LowerBound(const K& key) const -> const_iterator {
  const_iterator found;
  if (empty()) return found;
  const Node* node = root_.get();
  while (node->IsInner()) {
    const auto part = PartOf(node->parts.begin(), node->parts.end(), key);
    found.path_.push_back({node, static_cast<size_t>(part - node->parts.begin())});
    node = part->node.get();
  }
  const auto at = std::ranges::lower_bound(node->values, key, {}, KeyOf());
  found.path_.push_back({node, static_cast<size_t>(at - node->values.begin())});
  if (at == node->values.end()) found.Leave(0);
  return found;
}

template <typename T, typename KeyOf>
template <typename Item>
void ChunkedSet<T, KeyOf>::Prefetch(const std::vector<Item>& items) {
  for (const Item& item : items) {
    if constexpr (std::is_same_v<Item, Part>) {
      PrefetchShared(item.node);
    } else if constexpr (requires { item.get(); }) {
      PrefetchShared(item);
    }
  }
}

template <typename T, typename KeyOf>
auto ChunkedSet<T, KeyOf>::SortedOps(const std::vector<T>& gone, std::vector<T>& fresh)
    -> std::vector<Op> {
  std::vector<Op> ops;
  ops.reserve(gone.size() + fresh.size());
  for (const T& value : gone) ops.push_back({KeyOf()(value), nullptr});
  for (T& value : fresh) ops.push_back({KeyOf()(value), &value});
  std::ranges::stable_sort(ops, {}, &Op::key);
  // Of equal keys the last one: what is put counts more than what goes.
  const auto overruled = [&](size_t i) {
    return i + 1 < ops.size() && ops[i].key == ops[i + 1].key;
  };
  size_t kept = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!overruled(i)) ops[kept++] = ops[i];
  }
  ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(kept), ops.end());
  return ops;
}

template <typename T, typename KeyOf>
std::vector<T> ChunkedSet<T, KeyOf>::EditValues(const std::vector<T>& old,
                                                std::span<const Op> ops) {
  Prefetch(old);
  std::vector<T> values;
  values.reserve(old.size() + ops.size());
  auto at = old.begin();
  for (const Op& op : ops) {
    const auto next = std::ranges::lower_bound(at, old.end(), op.key, {}, KeyOf());
    values.insert(values.end(), at, next);
    at = next;
    if (at != old.end() && KeyOf()(*at) == op.key) ++at;
    if (op.put != nullptr) values.push_back(std::move(*op.put));
  }
  values.insert(values.end(), at, old.end());
  return values;
}

template <typename T, typename KeyOf>
void ChunkedSet<T, KeyOf>::EditPart(const Part& part, std::span<const Op> ops, Row& row) {
  const Node& node = *part.node;
  if (!node.IsInner()) return row.Add(EditValues(node.values, ops));
  Prefetch(node.parts);
  Row below;
  for (auto child = node.parts.begin(); child != node.parts.end();) {
    const auto edited =
        ops.empty() ? node.parts.end() : PartOf(child, node.parts.end(), ops.front().key);
    for (; child != edited; ++child) below.Share(*child);
    if (ops.empty()) break;
    // Its ops: those before the first key of the one behind it.
    const auto behind = child + 1;
    const auto last = behind == node.parts.end()
                          ? ops.end()
                          : std::ranges::lower_bound(ops, behind->first, {}, &Op::key);
    const auto count = static_cast<size_t>(last - ops.begin());
    EditPart(*child, ops.first(count), below);
    ops = ops.subspan(count);
    child = behind;
  }
  row.Add(std::move(below.parts()));
}

template <typename T, typename KeyOf>
ChunkedSet<T, KeyOf> ChunkedSet<T, KeyOf>::Edit(const std::vector<T>& gone,
                                                std::vector<T> fresh) const {
  const std::vector<Op> ops = SortedOps(gone, fresh);
  if (ops.empty()) return *this;
  Row top;
  if (empty()) {
    top.Add(EditValues({}, ops));
  } else {
    EditPart({root_, ops.front().key}, ops, top);
  }
  while (top.parts().size() > 1) {
    Row higher;
    higher.Add(std::move(top.parts()));
    top = std::move(higher);
  }
  ChunkedSet out;
  if (!top.parts().empty()) out.root_ = std::move(top.parts().front().node);
  while (!out.empty() && out.root_->parts.size() == 1) {
    out.root_ = NodePtr(out.root_->parts.front().node);
  }
  return out;
}

// If both are at the beginning of the same chunk: skips the largest one.
template <typename T, typename KeyOf>
bool ChunkedSet<T, KeyOf>::SkipShared(const_iterator& a, const_iterator& b) {
  const size_t most = std::min(a.path_.size(), b.path_.size());
  size_t shared = 0;  // heights
  while (shared < most) {
    const Place& in_a = a.path_[a.path_.size() - 1 - shared];
    const Place& in_b = b.path_[b.path_.size() - 1 - shared];
    if (in_a != in_b || in_a.at != 0) break;
    ++shared;
  }
  if (shared == 0) return false;
  a.Leave(shared - 1);
  b.Leave(shared - 1);
  return true;
}

template <typename T, typename KeyOf>
template <typename OnGone, typename OnFresh>
void ChunkedSet<T, KeyOf>::Diff(const ChunkedSet& before, const ChunkedSet& after, OnGone on_gone,
                                OnFresh on_fresh) {
  if (before.root_ == after.root_) return;
  const_iterator a = before.begin();
  const_iterator b = after.begin();
  const const_iterator end;
  while (a != end || b != end) {
    if (SkipShared(a, b)) continue;
    const bool only_a = b == end || (a != end && KeyOf()(*a) < KeyOf()(*b));
    const bool only_b = !only_a && (a == end || KeyOf()(*b) < KeyOf()(*a));
    const bool same = !only_a && !only_b && *a == *b;
    if (!only_b && !same) on_gone(*a);
    if (!only_a && !same) on_fresh(*b);
    if (!only_b) ++a;
    if (!only_a) ++b;
  }
}

}  // namespace trawl
