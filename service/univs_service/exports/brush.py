"""Label Studio's run lengths of a brush: the bytes of an RGBA picture, packed bit by bit.

The stream: 32 bits, how many values follow; 5 bits, bits of a value less one; 4 times 4 bits, the four widths of a
run's length less one. Then the runs: 1 bit, set when one value is repeated (we write no others); 2 bits, which of the
four widths; the length less one in that many bits; the value. The rest of the last byte is zero. A pixel is 4 values.
"""

from univs_service.exports.masks import BoolMask, row_runs

_VALUE_BITS = 8
_WIDTHS = (3, 4, 8, 16)
_LONGEST = 1 << _WIDTHS[-1]
_CHANNELS = 4


def encode_brush(mask: BoolMask) -> list[int]:
    """Encode a mask [H, W] as bytes 0..255; pixels inside are opaque white, those outside transparent black."""
    head = f"{_CHANNELS * mask.size:032b}{_VALUE_BITS - 1:05b}" + "".join(f"{width - 1:04b}" for width in _WIDTHS)
    pieces = [head]
    for number, run in enumerate(row_runs(mask)):
        value = "1" * _VALUE_BITS if number % 2 else "0" * _VALUE_BITS
        left = _CHANNELS * run
        while left:
            length = min(left, _LONGEST)
            pieces.append(f"1{_length_bits(length)}{value}")
            left -= length
    bits = "".join(pieces)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _length_bits(length: int) -> str:
    """Write a length in the narrowest of the widths."""
    index = next(index for index, width in enumerate(_WIDTHS) if length <= 1 << width)
    return f"{index:02b}{length - 1:0{_WIDTHS[index]}b}"
