#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// A string as a YAML scalar: plain where it can't be read as anything else, quoted where it could.
std::string YamlScalar(std::string_view text);
// `[a, b]`
std::string YamlList(const std::vector<std::string>& items);

// Writes block YAML line by line.
//
//   writer.Begin("jobs");            // jobs:
//   writer.BeginItem();              // - name: x
//   writer.Field("name", "x");
//   writer.End();
//   writer.End();
//
// Not thread-safe.
class YamlWriter {
 public:
  // `value` as it is to stand there.
  void Field(std::string_view name, std::string_view value);
  void Begin(std::string_view name);
  void BeginItem();
  void End();
  std::string Take() { return std::move(out_); }

 private:
  void Line(std::string_view text);

  std::string out_;
  size_t indent_ = 0;
  bool item_ = false;  // the next line is the first of an item
};

}  // namespace trawl
