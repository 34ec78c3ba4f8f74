#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/file_system.h"
#include "core/spool/segment_format.h"

namespace trawl {

// A segment's file as it was found: what it holds, as far as that is known without reading all of
// it.
struct SegmentFile {
  std::string path;
  SegmentHeader header;
  SegmentIndex index;
  uint64_t file_bytes = 0;
  bool sealed = false;  // it was ended in order, so that its end is known
  // The header is damaged. Its first number is known, the samples before it perhaps are not (0).
  bool header_lost = false;
  uint64_t torn_bytes = 0;  // at the end, of a write that a crash cut off
  // At the end, of what is no such write: there may have been records, nobody knows how many.
  uint64_t lost_bytes = 0;
  bool lost_record = false;  // that there was one is certain
};

// What a crash left that was quick holds no record; end_number is the first number then. Reads the
// footer, or, where there is none, looks through the whole file, a block at a time in memory.
// Nothing is changed. `number` is what the file's name says. kFailedPrecondition: a newer format,
// or of another writer, epoch or lane; kDataLoss: nothing in it can be used, though there is more
// than such a crash leaves; others are the file system's.
absl::StatusOr<SegmentFile> InspectSegment(FileSystem& files, const std::string& path,
                                           const SpoolIdentity& identity, uint64_t number);

}  // namespace trawl
