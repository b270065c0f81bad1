#include "common/library.h"

/* The path is from the top of the tree, where the compiler runs. */
__asm__(".pushsection .rodata\n"
	".globl library_lua\n"
	".globl library_lua_end\n"
	"library_lua:\n"
	".incbin \"common/library.lua\"\n"
	"library_lua_end:\n"
	".byte 0\n"
	".popsection\n");

extern const char library_lua_end[];

size_t
library_lua_size(void)
{
	return (size_t)(library_lua_end - library_lua);
}
