#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trawl {

// Where a list's next page begins: the last element's sort key, as text that clients hand back.
std::string MakePageToken(std::initializer_list<std::string_view> key);
// nullopt if it is not one of ours with `fields` fields.
std::optional<std::vector<std::string>> ParsePageToken(std::string_view token, size_t fields);

// What a request's page_size means: 0 is the default; more than the maximum is cut.
size_t PageSize(int32_t requested);

}  // namespace trawl
