#include "core/config/yaml.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/emitterstyle.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/text.h"
#include "core/config/yaml_scalar.h"

namespace trawl {
namespace {

using Kind = YamlNode::Kind;

YamlMark ToMark(const YAML::Mark& mark) {
  return mark.is_null() ? YamlMark{} : YamlMark{mark.line + 1, mark.column + 1};
}

// Builds the tree from the parser's events. After a problem it ignores what comes: the parser
// can only be stopped by an exception, and what it reads then costs no memory.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view text) : lines_(absl::StrSplit(text, '\n')) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto node = NewNode(Kind::kNull, mark);
    node->mark = MarkOfNull(node->mark);
    Complete(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = NewNode(Kind::kScalar, mark);
    node->text = value;
    node->quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (tag == "tag:yaml.org,2002:binary") Fail(node->mark, "!!binary values are not supported");
    if (value.empty() && !node->quoted) node->kind = Kind::kNull;
    Complete(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) return Fail(ToMark(mark), "alias of a node that contains it");
    Add(found->second, ToMark(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Kind::kSequence, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { Close(); }

  const YamlNode::Ptr& root() const { return root_; }
  bool failed() const { return !message_.empty(); }
  YamlMark failed_at() const { return failed_at_; }
  const std::string& message() const { return message_; }

 private:
  // A sequence or map whose end has not come yet.
  struct Frame {
    std::shared_ptr<YamlNode> node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  // of a map: the next node is a value
    std::string key;
    YamlMark key_mark;
    std::vector<std::pair<YamlMark, YamlNode::Ptr>> merges;
  };

  static std::shared_ptr<YamlNode> NewNode(Kind kind, const YAML::Mark& mark) {
    auto node = std::make_shared<YamlNode>();
    node->kind = kind;
    node->mark = ToMark(mark);
    return node;
  }

  // The parser places a null without text at what follows it: go back to the line that ends with
  // it (`- # comment`).
  YamlMark MarkOfNull(YamlMark mark) const {
    const auto line = static_cast<size_t>(mark.line);
    if (line == 0 || line > lines_.size()) return mark;
    const std::string_view rest = lines_[line - 1].substr(
        std::min(static_cast<size_t>(mark.column) - 1, lines_[line - 1].size()));
    for (const std::string_view null : {"~", "null", "Null", "NULL"}) {
      if (rest.starts_with(null)) return mark;
    }
    for (size_t above = line - 1; above > 0; --above) {
      const size_t first = lines_[above - 1].find_first_not_of(" \t\r");
      if (first == std::string_view::npos || lines_[above - 1][first] == '#') continue;
      return {static_cast<int>(above), static_cast<int>(first) + 1};
    }
    return mark;
  }

  void Fail(YamlMark mark, std::string message) {
    if (failed()) return;
    failed_at_ = mark;
    message_ = std::move(message);
  }

  void Open(Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (frames_.size() >= kMaxYamlDepth) {
      Fail(ToMark(mark), absl::StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
    }
    if (failed()) return;
    frames_.push_back({NewNode(kind, mark), anchor, false, "", {}, {}});
  }

  void Close() {
    if (failed()) return;
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    for (const auto& [mark, source] : frame.merges) Merge(*frame.node, mark, *source);
    Complete(std::move(frame.node), frame.anchor);
  }

  void Complete(std::shared_ptr<YamlNode> node, YAML::anchor_t anchor) {
    if (failed()) return;
    const YamlMark mark = node->mark;
    if (anchor != 0) anchors_[anchor] = node;
    Add(std::move(node), mark);
  }

  void Add(YamlNode::Ptr node, YamlMark mark) {
    if (failed()) return;
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    frame.node->weight += node->weight;
    if (frame.node->weight > kMaxYamlNodes) {
      return Fail(mark, absl::StrCat("more than ", kMaxYamlNodes, " nodes, aliases written out"));
    }
    if (frame.node->kind == Kind::kSequence) {
      frame.node->items.push_back(std::move(node));
    } else if (!frame.has_key) {
      SetKey(frame, *node, mark);
    } else {
      SetValue(frame, std::move(node));
    }
  }

  void SetKey(Frame& frame, const YamlNode& node, YamlMark mark) {
    if (node.kind == Kind::kMap || node.kind == Kind::kSequence) {
      return Fail(mark, "a key must be a scalar");
    }
    frame.has_key = true;
    frame.key = node.text;
    frame.key_mark = mark;
  }

  void SetValue(Frame& frame, YamlNode::Ptr node) {
    frame.has_key = false;
    if (frame.key == "<<") {
      frame.merges.emplace_back(frame.key_mark, std::move(node));
    } else {
      frame.node->entries.push_back({std::move(frame.key), frame.key_mark, std::move(node)});
    }
  }

  void Merge(YamlNode& into, YamlMark mark, const YamlNode& source) {
    if (source.kind == Kind::kSequence) {
      for (const YamlNode::Ptr& item : source.items) {
        if (item->kind != Kind::kMap)
          return Fail(mark, "map merge requires map or sequence of maps as the value");
        MergeMap(into, *item);
      }
    } else if (source.kind == Kind::kMap) {
      MergeMap(into, source);
    } else {
      Fail(mark, "map merge requires map or sequence of maps as the value");
    }
  }

  static void MergeMap(YamlNode& into, const YamlNode& source) {
    std::unordered_set<std::string_view> present;
    for (const YamlNode::Entry& entry : into.entries) present.insert(entry.key);
    std::vector<YamlNode::Entry> added;
    for (const YamlNode::Entry& entry : source.entries) {
      if (!present.insert(entry.key).second) continue;
      added.push_back(entry);
      added.back().merged = true;
    }
    into.entries.insert(into.entries.end(), added.begin(), added.end());
  }

  const std::vector<std::string_view> lines_;
  std::vector<Frame> frames_;
  std::unordered_map<YAML::anchor_t, YamlNode::Ptr> anchors_;
  YamlNode::Ptr root_;
  YamlMark failed_at_;
  std::string message_;
};

YamlMark MarkOfOffset(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<int>(lines) + 1, static_cast<int>(offset - line_start) + 1};
}

std::optional<ConfigProblem> CheckCharacters(std::string_view text, const std::string& file) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f) {
      const YamlMark mark = MarkOfOffset(text, i);
      return ConfigProblem{file, mark.line, mark.column, "control characters are not allowed"};
    }
  }
  if (IsValidUtf8(text)) return std::nullopt;
  size_t line_start = 0;
  int line = 1;
  while (true) {
    const size_t end = std::min(text.find('\n', line_start), text.size());
    if (!IsValidUtf8(text.substr(line_start, end - line_start))) break;
    line_start = end + 1;
    ++line;
  }
  return ConfigProblem{file, line, 1, "the line is not valid UTF-8"};
}

YamlDocument Failed(const std::string& file, YamlMark mark, std::string message) {
  return {nullptr, ConfigProblem{file, mark.line, mark.column, std::move(message)}};
}

}  // namespace

bool YamlNode::says_nothing() const {
  switch (kind) {
    case Kind::kNull:
      return true;
    case Kind::kScalar:
      return text.empty();
    case Kind::kSequence:
      return items.empty();
    case Kind::kMap:
      return entries.empty();
  }
  return false;
}

std::string YamlNode::Describe() const {
  switch (kind) {
    case Kind::kNull:
      return "!!null";
    case Kind::kScalar:
      return absl::StrCat(ScalarTag(*this), " `", text, "`");
    case Kind::kSequence:
      return "!!seq";
    case Kind::kMap:
      return "!!map";
  }
  return "";
}

YamlDocument ParseYaml(std::string_view text, const std::string& file) {
  if (auto problem = CheckCharacters(text, file)) return {nullptr, std::move(problem)};
  TreeBuilder builder(text);
  try {
    // A comment without a newline: only at the very end does the parser notice a quote that is
    // still open; one that is followed by a newline would swallow the rest of the file.
    std::istringstream stream(absl::StrCat(text, text.ends_with('\n') ? "#" : "\n#"));
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
  } catch (const YAML::DeepRecursion& e) {
    return Failed(file, ToMark(e.mark),
                  absl::StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
  } catch (const YAML::Exception& e) {
    if (!builder.failed()) return Failed(file, ToMark(e.mark), e.msg);
  }
  if (builder.failed()) return Failed(file, builder.failed_at(), builder.message());
  if (builder.root() == nullptr) return {std::make_shared<YamlNode>(), std::nullopt};
  return {builder.root(), std::nullopt};
}

}  // namespace trawl
