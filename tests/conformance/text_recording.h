#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// What our text parser makes of `input`, in the words of recorder/main.go; without the line that
// names the case.
std::string RecordText(std::string_view input);

// One case of a recording.
struct RecordedCase {
  std::string input;
  std::string expected;
};
// Reads what recorder/main.go wrote.
std::vector<RecordedCase> ReadRecording(const std::string& path);

}  // namespace trawl
