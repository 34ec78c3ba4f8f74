#pragma once

#include <cstdint>
#include <string>

namespace trawl {

// The machine as a process finds it. Main thread, at the start.

// By which others reach it; "localhost" if it does not know.
std::string Hostname();

// Lets the process have as many descriptors as the system allows it, and says how many these are.
// A failure is logged.
int64_t RaiseDescriptorLimit();
// How many it has. 0: it can't know.
int64_t OpenDescriptors();

}  // namespace trawl
