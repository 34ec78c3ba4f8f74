// Writes the files of client/store/golden anew: make_golden DIR. A change of them is a change of
// the protocol.

#include <cstdio>
#include <fstream>
#include <string>

#include "tests/client/store/golden_messages.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden DIR\n");
    return 2;
  }
  for (const trawl::GoldenMessage& message : trawl::MakeGoldenMessages()) {
    const std::string path = std::string(argv[1]) + "/" + message.name;
    std::ofstream(path + ".bin", std::ios::binary) << message.bytes;
    std::ofstream(path + ".json", std::ios::binary) << message.json;
  }
  return 0;
}
