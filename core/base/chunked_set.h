#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace trawl {

// A sorted set of values that is never changed: an edit makes another set, which shares with the
// one before all but the chunks that it touches. Copies cost nothing, so that a set may be kept,
// published and compared while its owner goes on editing.
//
// `KeyOf()(value)` is a value's key, comparable by < and ==; each key is there once. The values are
// equal (==) if they need not be told apart: Diff looks at nothing else. A T is best a
// shared_ptr, or as cheap to copy.
//
// Costs, for n values of which k are touched: Edit copies k chunks and a pointer for each of the
// n / 48 or so chunks that there are; Diff compares as many pointers, and the values of chunks
// that are not shared.
//
// A value type. Thread-safe when const.
template <typename T, typename KeyOf>
class ChunkedSet {
  using Chunk = std::vector<T>;  // never empty
  using Chunks = std::vector<std::shared_ptr<const Chunk>>;

 public:
  static constexpr size_t kMaxChunk = 64;  // values

  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    const_iterator() = default;
    reference operator*() const { return (*(*chunks_)[chunk_])[at_]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++at_ == (*chunks_)[chunk_]->size()) {
        ++chunk_;
        at_ = 0;
      }
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    // Of two iterators of one set.
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.chunk_ == b.chunk_ && a.at_ == b.at_;
    }

   private:
    friend class ChunkedSet;
    const_iterator(const Chunks* chunks, size_t chunk, size_t at)
        : chunks_(chunks), chunk_(chunk), at_(at) {}

    const Chunks* chunks_ = nullptr;
    size_t chunk_ = 0;
    size_t at_ = 0;
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

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  const_iterator begin() const { return {chunks_.get(), 0, 0}; }
  const_iterator end() const { return {chunks_.get(), chunks_->size(), 0}; }
  // O(n / 48).
  const T& operator[](size_t position) const {
    size_t chunk = 0;
    for (; position >= (*chunks_)[chunk]->size(); ++chunk) position -= (*chunks_)[chunk]->size();
    return (*(*chunks_)[chunk])[position];
  }

  // The first value whose key is not less.
  template <typename Key>
  const_iterator LowerBound(const Key& key) const {
    const size_t chunk = ChunkOf(key);
    if (chunk == chunks_->size()) return end();
    const Chunk& values = *(*chunks_)[chunk];
    const size_t at =
        static_cast<size_t>(std::ranges::lower_bound(values, key, {}, KeyOf()) - values.begin());
    return at == values.size() ? const_iterator{chunks_.get(), chunk + 1, 0}
                               : const_iterator{chunks_.get(), chunk, at};
  }
  // Null: none.
  template <typename Key>
  const T* Find(const Key& key) const {
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
  // What is to become of a key; the value stays alive elsewhere. `put`: there; else gone.
  struct Op {
    T* put;
    const T* value;
    auto Key() const { return KeyOf()(*value); }
  };
  class Builder;

  static const std::shared_ptr<const Chunks>& NoChunks() {
    static const auto& none = *new std::shared_ptr<const Chunks>(new Chunks());
    return none;
  }
  static std::vector<Op> SortedOps(const std::vector<T>& gone, std::vector<T>& fresh);
  // The chunk that has, or would have, the key; one behind the last: no chunk.
  template <typename Key>
  size_t ChunkOf(const Key& key) const {
    const auto first_key = [](const auto& chunk) { return KeyOf()(chunk->front()); };
    const auto after = std::ranges::upper_bound(*chunks_, key, {}, first_key);
    const size_t at = static_cast<size_t>(after - chunks_->begin());
    return at == 0 ? 0 : at - 1;
  }

  std::shared_ptr<const Chunks> chunks_ = NoChunks();
  size_t size_ = 0;
};

// Puts the chunks of a new set together.
template <typename T, typename KeyOf>
class ChunkedSet<T, KeyOf>::Builder {
 public:
  explicit Builder(size_t chunks) { chunks_.reserve(chunks); }

  void Share(const std::shared_ptr<const Chunk>& chunk) {
    if (last_is_new_ && chunks_.back()->size() + chunk->size() <= kMaxChunk / 2) {
      // Two that have become small are one.
      Chunk both = *chunks_.back();
      both.insert(both.end(), chunk->begin(), chunk->end());
      chunks_.back() = std::make_shared<const Chunk>(std::move(both));
    } else {
      chunks_.push_back(chunk);
      last_is_new_ = false;
    }
  }

  void Add(Chunk values) {
    const size_t pieces = (values.size() + kMaxChunk - 1) / kMaxChunk;
    for (size_t i = 0; i < pieces; ++i) {
      const auto cut = [&](size_t n) {
        return std::make_move_iterator(values.begin() +
                                       static_cast<std::ptrdiff_t>(values.size() * n / pieces));
      };
      Share(std::make_shared<const Chunk>(cut(i), cut(i + 1)));
      last_is_new_ = true;
    }
  }

  std::shared_ptr<const Chunks> Finish() {
    return std::make_shared<const Chunks>(std::move(chunks_));
  }

 private:
  Chunks chunks_;
  bool last_is_new_ = false;
};

template <typename T, typename KeyOf>
auto ChunkedSet<T, KeyOf>::SortedOps(const std::vector<T>& gone, std::vector<T>& fresh)
    -> std::vector<Op> {
  std::vector<Op> ops;
  ops.reserve(gone.size() + fresh.size());
  for (const T& value : gone) ops.push_back({nullptr, &value});
  for (T& value : fresh) ops.push_back({&value, &value});
  std::ranges::stable_sort(ops, {}, [](const Op& op) { return op.Key(); });
  // Of equal keys the last one: what is put counts more than what goes.
  const auto overruled = [&](size_t i) {
    return i + 1 < ops.size() && ops[i].Key() == ops[i + 1].Key();
  };
  size_t kept = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!overruled(i)) ops[kept++] = ops[i];
  }
  ops.resize(kept);
  return ops;
}

template <typename T, typename KeyOf>
ChunkedSet<T, KeyOf> ChunkedSet<T, KeyOf>::Edit(const std::vector<T>& gone,
                                                std::vector<T> fresh) const {
  const std::vector<Op> ops = SortedOps(gone, fresh);
  if (ops.empty()) return *this;
  ChunkedSet out;
  out.size_ = size_;
  Builder builder(chunks_->size() + fresh.size() / kMaxChunk + 1);
  size_t next_chunk = 0;
  size_t next = 0;
  while (next < ops.size()) {
    const size_t chunk = ChunkOf(ops[next].Key());
    for (; next_chunk < chunk; ++next_chunk) builder.Share((*chunks_)[next_chunk]);
    // The ops of this chunk: those before the first key of the one behind it.
    size_t end = next;
    const bool last = chunk + 1 >= chunks_->size();
    while (end < ops.size() && (last || ops[end].Key() < KeyOf()((*chunks_)[chunk + 1]->front()))) {
      ++end;
    }
    static const Chunk kEmpty;
    const Chunk& old = chunk < chunks_->size() ? *(*chunks_)[chunk] : kEmpty;
    Chunk values;
    values.reserve(old.size() + (end - next));
    auto at = old.begin();
    for (; next < end; ++next) {
      const auto key = ops[next].Key();
      for (; at != old.end() && KeyOf()(*at) < key; ++at) values.push_back(*at);
      if (at != old.end() && KeyOf()(*at) == key) {
        ++at;
        --out.size_;
      }
      if (ops[next].put == nullptr) continue;
      values.push_back(std::move(*ops[next].put));
      ++out.size_;
    }
    values.insert(values.end(), at, old.end());
    builder.Add(std::move(values));
    next_chunk = chunk + 1;
  }
  for (; next_chunk < chunks_->size(); ++next_chunk) builder.Share((*chunks_)[next_chunk]);
  out.chunks_ = builder.Finish();
  return out;
}

template <typename T, typename KeyOf>
template <typename OnGone, typename OnFresh>
void ChunkedSet<T, KeyOf>::Diff(const ChunkedSet& before, const ChunkedSet& after, OnGone on_gone,
                                OnFresh on_fresh) {
  const_iterator a = before.begin();
  const_iterator b = after.begin();
  const auto skip_shared = [&] {
    while (a != before.end() && b != after.end() && a.at_ == b.at_ &&
           (*a.chunks_)[a.chunk_] == (*b.chunks_)[b.chunk_]) {
      a = {a.chunks_, a.chunk_ + 1, 0};
      b = {b.chunks_, b.chunk_ + 1, 0};
    }
  };
  if (before.chunks_ == after.chunks_) return;
  for (skip_shared(); a != before.end() || b != after.end(); skip_shared()) {
    const bool only_a = b == after.end() || (a != before.end() && KeyOf()(*a) < KeyOf()(*b));
    const bool only_b = !only_a && (a == before.end() || KeyOf()(*b) < KeyOf()(*a));
    const bool same = !only_a && !only_b && *a == *b;
    if (!only_b && !same) on_gone(*a);
    if (!only_a && !same) on_fresh(*b);
    if (!only_b) ++a;
    if (!only_a) ++b;
  }
}

}  // namespace trawl
