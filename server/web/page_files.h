#pragma once

#include <string_view>
#include <vector>

namespace trawl {

// A file that the build put into the program.
struct EmbeddedFile {
  std::string_view name;  // without a folder
  std::string_view content;
};

// The page of the targets: targets.html, targets.css and targets.js, as they stand in this folder.
const std::vector<EmbeddedFile>& PageFiles();

}  // namespace trawl
