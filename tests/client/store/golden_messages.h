#pragma once

#include <string>
#include <vector>

namespace trawl {

// A message of an Append stream as it stands on the wire, and what it says: the files of
// client/store/golden, for whoever writes a store in another language.
struct GoldenMessage {
  std::string name;   // of the files, without their endings; they sort in the order of a stream
  std::string bytes;  // an AppendRequest, or an AppendResponse: the name tells
  // {"message": protobuf's JSON, "records": [{"number", "kind", "payload", "samples"}]}
  std::string json;
  bool zstd = false;  // other bytes may say the same
};

// One stream of a writer that knows all tricks, the store's answers, and the same records in raw
// columns. Always the same.
std::vector<GoldenMessage> MakeGoldenMessages();

}  // namespace trawl
