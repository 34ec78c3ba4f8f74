#pragma once

#include <string>
#include <string_view>

#include "core/append/record_decoder.h"
#include "core/model/labels.h"

namespace trawl {

// Appends a value as it stands in scrapes.vals: the shortest decimal that reads back as the same
// double, or one of the strings "NaN", "+Inf", "-Inf", "stale".
void AppendJsonValue(double value, std::string& out);

// Appends a JSON string. Bytes that are no valid UTF-8 stay as they are: SQLite passes them on.
void AppendJsonString(std::string_view text, std::string& out);

// A JSON object of the labels, without __name__, in order.
std::string JsonLabels(const Labels& labels);

// Adds the labels of such an object. Reads what JsonLabels writes, nothing else: false (and what
// was read so far) otherwise.
bool ParseJsonLabels(std::string_view json, LabelsBuilder& labels);

// scrapes.vals of a scrape. Positions with a time of their own are null, and so are stale markers
// if `markers` is false. Returns the number of samples in it.
uint64_t AppendJsonValues(const DecodedScrape& scrape, bool markers, std::string& out);

}  // namespace trawl
