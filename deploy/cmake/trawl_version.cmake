# cmake -DOUT=FILE -DSOURCE_DIR=DIR -DKIND=… -DCOMPILER=… -P trawl_version.cmake
# Runs at each build and writes FILE only when it changes: one source compiles again.
execute_process(COMMAND git -C ${SOURCE_DIR} describe --always --dirty --tags
                OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(text "#pragma once
#define TRAWL_VERSION \"0.1.0\"
#define TRAWL_REVISION \"${revision}\"
#define TRAWL_BUILD_KIND \"${KIND}\"
#define TRAWL_COMPILER \"${COMPILER}\"
")
set(before "")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
