#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/config_problem.h"

namespace trawl {

// Where a node begins; both from 1.
struct YamlMark {
  int line = 0;
  int column = 0;
};

// A YAML value with its place in the text. Aliases share the node they name, merge keys (`<<`) are
// resolved, keys that stand twice are kept twice: whoever reads the map reports them. Immutable.
struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  using Ptr = std::shared_ptr<const YamlNode>;

  struct Entry {
    std::string key;
    YamlMark mark;  // of the key
    Ptr value;
    bool merged = false;  // came in by `<<`; a key written out in the map wins over it
  };

  Kind kind = Kind::kNull;
  YamlMark mark;
  std::string text;     // of a scalar
  bool quoted = false;  // a quoted scalar is a string, whatever it looks like
  std::vector<Ptr> items;
  std::vector<Entry> entries;
  size_t weight = 1;  // nodes in it, aliases written out; saturates

  bool is_null() const { return kind == Kind::kNull; }
  // Null, "", [] or {}: says nothing.
  bool says_nothing() const;
  // The tag as Go prints it in errors, and a scalar's text: "!!str `abc`", "!!seq".
  std::string Describe() const;
};

struct YamlDocument {
  YamlNode::Ptr root;  // set unless there is a problem; an empty text is a null node
  std::optional<ConfigProblem> problem;
};

// Text that nests deeper, or has more nodes once aliases are written out, is refused.
inline constexpr size_t kMaxYamlDepth = 64;
inline constexpr size_t kMaxYamlNodes = 5'000'000;

// The first document of `text`. Refuses what is not UTF-8, control characters, and what nests too
// deep; of several syntax errors it reports the first.
YamlDocument ParseYaml(std::string_view text, const std::string& file);

}  // namespace trawl
