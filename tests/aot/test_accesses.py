"""Ranks of accesses by their place in the source, from short texts of each kind."""

from __future__ import annotations

from muondsl.aot.accesses import Access, ranks_of_places, widths
from muondsl.aot.ptx_ranks import ranks_of_instructions
from muondsl.aot.read_cuda import count_sass
from muondsl.aot.read_hip import count_amdgcn

TTGIR = """
    %a = tt.load %p {tt.divisibility = dense<16> : tensor<1xi32>} : !tt.ptr<i64> loc(#loc11)
    %b = tt.load %q, %m, %c {x = #blocked<{sizes = [1, 4]}>} : tensor<64x64x!tt.ptr<f32>, #blocked> loc(#loc12)
    %d = tt.load %r : tensor<64x1x!tt.ptr<f32>, #blocked> loc(#loc13)
    %e = amdg.buffer_load %s[%t], %m {contiguity = 8 : i32} : !tt.ptr<bf16> -> tensor<32x64xbf16, #blocked> loc(#loc4)
    %f = ttg.local_load %g : !ttg.memdesc<128x64xbf16, #shared> -> tensor<128x64xbf16, #dot> loc(#loc5)
    tt.store %u, %v : !tt.ptr<f32> loc("x"("kernel.py":9:5))
#loc1 = loc("kernel.py":5:11)
#loc2 = loc("kernel.py":6:11)
#loc3 = loc("device.py":7:8)
#loc4 = loc("kernel.py":8:1)
#loc5 = loc("kernel.py":10:1)
#loc6 = loc("kernel.py":20:1)
#loc11 = loc("a"(#loc1))
#loc12 = loc(fused[#loc2, #loc6])
#loc13 = loc(callsite(#loc3 at #loc6))
"""

RANKS = {
    ("kernel.py", 5, 11): "scalar",
    ("kernel.py", 6, 11): "tile",
    ("device.py", 7, 8): "vector",
    ("kernel.py", 8, 1): "tile",
    ("kernel.py", 9, 5): "scalar",
}

# LLVM numbers the lines of inline assembly on from the place where it begins.
PTX = """
	.file	1 "kernel.py"
	.loc	1 5 11
	// begin inline asm
	.loc	1 5 11
	mov.u64 %rd1, 0x0;
	.loc	1 6 11
	ld.global.b64 { %rd1 }, [ %rd2 + 0 ];
	// end inline asm
	.loc	1 6 11
	// begin inline asm
	@%p1 ld.global.L1::evict_last.v4.b32 { %r1, %r2, %r3, %r4 }, [ %rd7 + 0 ];
	// end inline asm
	// begin inline asm
	cp.async.cg.shared.global [ %r9 + 0 ], [ %rd9 + 0 ], 0x10, %r8;
	// end inline asm
	.loc	1 9 5
	st.global.b32 [%rd3], %r5;
"""

SASS = """
	//## File "kernel.py", line 6
        /*00c0*/                   LDG.E.64 R8, desc[UR4][R2.64+0x10] ;
        /*00d0*/              @!P1 LDG.E.EL.128 R12, desc[UR4][R52.64] ;
        /*00e0*/                   LDG.E R3, desc[UR4][R2.64] ;
        /*00f0*/                   LDGSTS.E.BYPASS.LTC128B.128 [R3], desc[UR4][R6.64] ;
	//## File "kernel.py", line 9
        /*0100*/               @P0 STG.E desc[UR4][R2.64], R5 ;
	//## File "kernel.py", line 30
        /*0110*/                   STG.E.U16 desc[UR4][R2.64], R5 ;
        /*0120*/                   HFMA2.MMA R8, -RZ, RZ, 0, 0 ;
        /*0130*/                   HGMMA.64x128x16.F32.BF16 R24, gdesc[UR8], R24 ;
        /*0140*/                   UTCHMMA gdesc[UR4], gdesc[UR6], tmem[UR8], tmem[UR10], idesc[UR11], UP0 ;
        /*0150*/             @!UP0 UTMALDG.2D [UR8], [UR4], desc[UR6] ;
"""

AMDGCN = """
	.file	1 "kernel.py"
	.loc	1 3 0 prologue_end
	s_load_dwordx4 s[4:7], s[0:1], 0x8
	.loc	1 5 11
	s_load_dwordx2 s[8:9], s[12:13], 0x0
	.loc	1 8 1 is_stmt 0                 ; kernel.py:8:1 @[ kernel.py:20:1 ]
	buffer_load_dwordx4 v[0:3], v1, s[4:7], 0 offen
	global_load_ushort v4, v[0:1], off
	buffer_load_dword v1, s[4:7], 0 offen lds
	.loc	1 0 9
	global_store_dwordx2 v[0:1], v[2:3], off
	v_mfma_f32_32x32x8_bf16 a[0:15], v[0:1], v[2:3], a[0:15]
	v_smfmac_f32_16x16x32_bf16 v[0:3], v[4:5], v[6:9], v10
"""


def test_ranks_of_places() -> None:
    assert ranks_of_places(TTGIR) == RANKS


def test_instructions_of_nvidia() -> None:
    found = count_sass(SASS, ranks_of_instructions(PTX, RANKS))
    assert found.matrix == {"HGMMA": 1, "UTCHMMA": 1}
    assert found.copies == {"LDGSTS": 1, "UTMALDG": 1}
    assert found.accesses == (
        Access(is_store=False, width=8, rank="scalar"),
        Access(is_store=False, width=16, rank="tile"),
        # No access of this line is as narrow in the PTX text: the assembler has narrowed one, and it may be any.
        Access(is_store=False, width=4, rank="tile"),
        Access(is_store=False, width=16, rank="tile"),
        Access(is_store=True, width=4, rank="scalar"),
        Access(is_store=True, width=2, rank="other"),
    )


def test_instructions_of_amd() -> None:
    found = count_amdgcn(AMDGCN, RANKS)
    assert found.matrix == {"MFMA": 1, "SMFMAC": 1}
    assert found.copies == {"buffer_load_dword": 1}
    assert found.accesses == (
        Access(is_store=False, width=8, rank="scalar"),
        Access(is_store=False, width=16, rank="tile"),
        Access(is_store=False, width=2, rank="tile"),
        Access(is_store=False, width=4, rank="tile"),
        Access(is_store=True, width=8, rank="other"),
    )


def test_widths_are_counted_with_high_ranks_and_great_widths_first() -> None:
    accesses = [
        Access(False, 8, "scalar"),
        Access(False, 4, "tile"),
        Access(False, 16, "tile"),
        Access(True, 2, "tile"),
    ]
    loads = widths(accesses, is_store=False)
    assert list(loads.counts) == ["tile", "scalar"]
    assert list(loads.counts["tile"].items()) == [(16, 1), (4, 1)]
    assert loads.narrowest == 4
    assert widths(accesses[:1], is_store=False).narrowest is None
