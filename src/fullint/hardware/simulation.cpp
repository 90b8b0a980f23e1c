// Drives a unit with beats from files, stalls its streams at random, compares what it sends.
// Compiled together with the unit (CXXRTL) and unit_ports.h, which names the unit's ports.
//
// simulation SEED INPUT_STALL OUTPUT_STALL SETTING... EXPECTED MASK INPUT...  (stalls in 1/256)
// Prints: cycles, beats compared, beats that differ.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "unit.cpp"

using Words = std::vector<uint32_t>;

template <size_t Bits>
static void load(cxxrtl::value<Bits>& port, const uint32_t*& words) {
  for (size_t i = 0; i < port.chunks; ++i) port.data[i] = *words++;
}

template <size_t Bits>
static void store(const cxxrtl::value<Bits>& port, uint32_t*& words) {
  for (size_t i = 0; i < port.chunks; ++i) *words++ = port.data[i];
}

template <size_t Bits>
static void store(const cxxrtl::wire<Bits>& port, uint32_t*& words) {
  store(port.curr, words);
}

#include "unit_ports.h"

static Words read_words(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Words words(bytes.size() / 4);
  std::copy(bytes.begin(), bytes.begin() + 4 * words.size(), reinterpret_cast<char*>(words.data()));
  return words;
}

int main(int argc, char** argv) {
  if (argc != 6 + kSettings + kInputs) return 2;
  std::minstd_rand random(std::atoi(argv[1]) + 1);
  const auto stalls = [&random](int chance) { return int(random() >> 8 & 255) < chance; };
  const int input_stall = std::atoi(argv[2]), output_stall = std::atoi(argv[3]);
  char** const files = argv + 4 + kSettings;
  const Words expected = read_words(files[0]), mask = read_words(files[1]);
  Words inputs[kInputs];
  size_t sent[kInputs] = {};
  bool offered[kInputs] = {};
  for (int k = 0; k < kInputs; ++k) inputs[k] = read_words(files[2 + k]);

  Unit unit;
  apply_settings(unit, argv + 4);
  const auto clock = [&unit](bool level) {
    unit.p_clk.set<bool>(level);
    unit.step();
  };
  unit.p_rst.set<bool>(true);
  clock(false);
  clock(true);
  unit.p_rst.set<bool>(false);

  const size_t beats = expected.size() / kOutputWords;
  size_t compared = 0, different = 0, cycles = 0, idle = 0;
  for (; compared < beats && idle < 100000; ++cycles, ++idle) {
    for (int k = 0; k < kInputs; ++k) {
      const bool more = sent[k] < inputs[k].size() / kInputWords[k];
      if (!offered[k]) offered[k] = more && !stalls(input_stall);
      if (offered[k]) drive(unit, k, &inputs[k][sent[k] * kInputWords[k]]);
      set_valid(unit, k, offered[k]);
    }
    const bool ready = !stalls(output_stall);
    set_output_ready(unit, ready);
    clock(false);
    for (int k = 0; k < kInputs; ++k)
      if (offered[k] && input_ready(unit, k)) {
        ++sent[k];
        offered[k] = false;
      }
    if (ready && output_valid(unit)) {
      uint32_t found[kOutputWords];
      read_output(unit, found);
      bool equal = true;
      for (size_t i = 0, at = compared * kOutputWords; i < kOutputWords; ++i)
        equal &= ((found[i] ^ expected[at + i]) & mask[at + i]) == 0;
      different += !equal;
      ++compared;
      idle = 0;
    }
    clock(true);
  }
  std::printf("%zu %zu %zu\n", cycles, compared, different);
  return 0;
}
