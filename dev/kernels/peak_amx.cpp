#include "amx/tiles.h"
#include "bench.h"

// With random bytes in the tiles: the unit draws more power then, and on some processors runs a quarter slower than on zeros.
double bench::peak_amx() {
  fullint::detail::configure_tiles(16, 16);
  const auto bytes = random_numbers<uint8_t>(4096, 0, 255);
  _tile_loadd(4, bytes.data(), 64);
  _tile_loadd(5, bytes.data() + 1024, 64);
  _tile_loadd(6, bytes.data() + 2048, 64);
  _tile_loadd(7, bytes.data() + 3072, 64);
  constexpr int steps = 20000;
  const double seconds = median_seconds([] {
    for (int step = 0; step < steps; ++step) {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  });
  _tile_release();
  return steps * 4.0 * 16 * 16 * 64 / seconds;
}
