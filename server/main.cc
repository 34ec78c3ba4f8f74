#include "core/base/file_system.h"
#include "server/run_trawld.h"

int main(int argc, char** argv) {
  trawl::PosixFileSystem files;
  return trawl::RunTrawld(argc, argv, files);
}
