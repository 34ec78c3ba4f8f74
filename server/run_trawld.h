#pragma once

#include "core/base/file_system.h"

namespace trawl {

// All of the program trawld, over this file system: reads the flags, runs until it is told to end.
// Exit codes: 0 after an orderly end, 1 where the machine does not give what is needed, 2 for a
// wrong flag or configuration. Once, on the main thread, before any other thread runs.
int RunTrawld(int argc, char** argv, FileSystem& files);

}  // namespace trawl
