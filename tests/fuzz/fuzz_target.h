#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// What a fuzz program brings along; fuzz_main.cc does the rest.

// Inputs to start from; all others are made of them.
std::vector<std::string> FuzzSeeds();
// Reads `input`, of which no byte beyond its end may be touched. Ends the program where a promise
// is broken.
void FuzzOne(std::string_view input);

// Ends the program with these words if not `kept`.
void Require(bool kept, std::string_view promise);

}  // namespace trawl
