#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/yaml_reader.h"

namespace trawl {

// The fields of the sections that trawl reads past, as Prometheus 3.x has them: a misspelt field,
// or a value of the wrong kind, is an error there although it has no effect here.
//
// A kind says what a value must be:
//   "string", "bool", "int", "uint", "float", "duration", "size"
//   "map", "{string}"         a map of anything, of strings
//   "config.TracingConfig"    a section, by Go's name of it
//   "[string]", "[dns.SDConfig]"   lists
// What Prometheus demands of the values beyond that (a role, a URL) is not looked at.

struct KnownField {
  std::string name;
  std::string kind;
};

// A section's fields, with those that stand inline in it. There must be such a section.
std::vector<KnownField> FieldsOfSection(std::string_view section);
// All sections, for tests.
std::vector<std::string_view> KnownSections();

// Reports what in `node`, the value of `field`, is not of that kind. A null is of any.
void CheckKind(const YamlNode& node, std::string_view field, std::string_view kind,
               Findings& findings);

// A field of that kind that has no effect here: a warning with the reason, unless it says nothing.
void IgnoreField(StructReader& reader, std::string_view field, std::string_view kind,
                 std::string_view reason);
// The same for a bool, which asks for nothing while it is false.
void IgnoreIfTrue(StructReader& reader, std::string_view field, std::string_view reason);

}  // namespace trawl
