#pragma once

#include <cstdint>
#include <string>

namespace trawl {

// The machine as a process finds it. Main thread, at the start.

// By which others reach it; "localhost" if it does not know.
std::string Hostname();

// Lets the process have as many descriptors as the system allows it. A failure is logged.
void RaiseDescriptorLimit();
// How many of them its servers, its data directory and its stores should find free.
int64_t DescriptorReserve();

}  // namespace trawl
