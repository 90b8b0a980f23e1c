#include "amx/tiles.h"
#include "bench.h"

double bench::peak_amx() {
  fullint::detail::configure_tiles(16, 16);
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
