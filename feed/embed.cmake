# SPDX-License-Identifier: Apache-2.0
# cmake -DFROM=FILE -DTO=FILE.c -DNAME=N -DHEADER=H -P embed.cmake: FILE as the
# array N of bytes, and N_LEN.
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
get_filename_component(from ${FROM} NAME)
file(WRITE ${TO} "/* ${from}, as it was when this was built. */
#include \"${HEADER}\"

const char ${NAME}[] = {
${bytes}
};
const size_t ${NAME}_LEN = sizeof(${NAME});
")
