# Writes files into a C++ source as one table, so that a program needs none of them beside it.
#   cmake -DOUT=... -DHEADER=... -DTABLE=... -DFILES=a;b -P trawl_embed.cmake
# The source includes HEADER, which declares `const std::vector<trawl::EmbeddedFile>& TABLE()`.
set(text "#include \"${HEADER}\"\n\nnamespace trawl {\nnamespace {\n")
set(table "")
set(number 0)
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  file(READ ${file} hex HEX)
  # Octets in lines of 40, so that nothing chokes on one long line.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," octets "${hex}")
  string(REPEAT "....." 40 line)
  string(REGEX REPLACE "(${line})" "\\1\n" octets "${octets}")
  string(APPEND text "const unsigned char kFile${number}[] = {\n${octets}\n};\n")
  string(APPEND table
    "      {\"${name}\", {reinterpret_cast<const char*>(kFile${number}), sizeof kFile${number}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND text "}  // namespace\n\nconst std::vector<EmbeddedFile>& ${TABLE}() {\n"
  "  static const std::vector<EmbeddedFile>& files = *new std::vector<EmbeddedFile>{\n${table}  };\n"
  "  return files;\n}\n\n}  // namespace trawl\n")
file(WRITE ${OUT} "${text}")
