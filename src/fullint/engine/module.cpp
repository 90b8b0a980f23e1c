// The Python module `fullint.engine._engine`.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <tuple>

#include "executor.h"
#include "kernels/kernels.h"
#include "plan/plan.h"
#include "program.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Constant = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
// name, shape, number type, low, high, a constant's values, their storage
using TensorRecord = std::tuple<std::string, fullint::Shape, std::string, std::int64_t, std::int64_t,
                                std::optional<Constant>, std::string>;
// kind, inputs, output, attributes
using OperationRecord = std::tuple<std::string, std::vector<int>, int, std::map<std::string, fullint::Shape>>;
using Pixels = nb::ndarray<const std::uint8_t, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using Logits = nb::ndarray<std::int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

bool is_of_type(const Constant& constant, fullint::NumberType type, fullint::Storage storage) {
  if (storage != fullint::Storage::plain) return constant.dtype() == nb::dtype<std::uint8_t>();
  switch (type) {
    case fullint::NumberType::u8:
      return constant.dtype() == nb::dtype<std::uint8_t>();
    case fullint::NumberType::s8:
      return constant.dtype() == nb::dtype<std::int8_t>();
    case fullint::NumberType::s16:
      return constant.dtype() == nb::dtype<std::int16_t>();
    case fullint::NumberType::s32:
      return constant.dtype() == nb::dtype<std::int32_t>();
  }
  return false;
}

fullint::Program make_program(const std::vector<TensorRecord>& tensors, const std::vector<OperationRecord>& operations,
                              int input, int output, std::function<void()> release) {
  fullint::Program program;
  program.release = std::move(release);
  for (const auto& [name, shape, type, low, high, constant, storage] : tensors) {
    fullint::Tensor tensor{name, shape, fullint::number_type_of(type), low, high};
    tensor.storage = fullint::storage_of(storage);
    if (constant) {
      const bool fits = is_of_type(*constant, tensor.type, tensor.storage) &&
                        static_cast<std::int64_t>(constant->nbytes()) == tensor.constant_bytes();
      if (!fits) throw std::invalid_argument("constant '" + name + "' is not as declared");
      tensor.data = constant->data();
    }
    program.tensors.push_back(std::move(tensor));
  }
  for (const auto& [kind, inputs, result, attributes] : operations) {
    program.operations.push_back({kind, inputs, result, attributes});
  }
  program.input = input;
  program.output = output;
  return program;
}

fullint::Isa isa_named(const std::optional<std::string>& name) {
  if (!name) return fullint::choose_isa();
  for (const fullint::Isa isa : fullint::supported_isas()) {
    if (*name == fullint::name_of(isa)) return isa;
  }
  throw std::runtime_error("the instruction set '" + *name + "' is not available here");
}

class PyEngine {
 public:
  PyEngine(const std::vector<TensorRecord>& tensors, const std::vector<OperationRecord>& operations, int input,
           int output, int threads, const std::optional<std::string>& isa, std::function<void()> release)
      : isa_(isa_named(isa)),
        executor_(fullint::make_plan(make_program(tensors, operations, input, output, std::move(release)),
                                    fullint::select_kernels(isa_)),
                  threads) {}

  void run(const Pixels& pixels, const Logits& logits) const {
    check(pixels);
    if (logits.shape(0) != pixels.shape(0) || static_cast<std::int64_t>(logits.shape(1)) != executor_.classes()) {
      throw std::invalid_argument("the logits have the wrong shape");
    }
    const nb::gil_scoped_release released;
    executor_.run(pixels.data(), static_cast<std::int64_t>(pixels.shape(0)), logits.data());
  }

  // kind, seconds, operations, bytes
  using StepRecord = std::tuple<std::string, double, std::int64_t, std::int64_t>;

  std::vector<StepRecord> profile(const Pixels& pixels) const {
    check(pixels);
    std::vector<StepRecord> result;
    const nb::gil_scoped_release released;
    const auto images = static_cast<std::int64_t>(pixels.shape(0));
    for (const auto& step : executor_.profile(pixels.data(), images)) {
      result.emplace_back(step.kind, step.seconds, step.operations, step.bytes);
    }
    return result;
  }

  std::string isa() const { return fullint::name_of(isa_); }
  const fullint::Executor& executor() const { return executor_; }

 private:
  void check(const Pixels& pixels) const {
    const std::size_t bytes = pixels.shape(1) * pixels.shape(2) * pixels.shape(3);
    if (bytes != executor_.pixel_bytes()) {
      throw std::invalid_argument("the pixels have the wrong shape");
    }
  }

  fullint::Isa isa_;
  fullint::Executor executor_;
};

}  // namespace

NB_MODULE(_engine, module) {
  nb::class_<PyEngine>(module, "Engine")
      .def(nb::init<const std::vector<TensorRecord>&, const std::vector<OperationRecord>&, int, int, int,
                    const std::optional<std::string>&, std::function<void()>>(),
           "tensors"_a, "operations"_a, "input"_a, "output"_a, "threads"_a, "isa"_a.none(), "release"_a)
      .def("run", &PyEngine::run, "pixels"_a, "logits"_a)
      .def("profile", &PyEngine::profile, "pixels"_a)
      .def_prop_ro("isa", &PyEngine::isa)
      .def_prop_ro("threads", [](const PyEngine& self) { return self.executor().threads(); })
      .def_prop_ro("steps", [](const PyEngine& self) { return self.executor().steps(); })
      .def_prop_ro("arena_bytes", [](const PyEngine& self) { return self.executor().arena_bytes(); })
      .def_prop_ro("held_bytes", [](const PyEngine& self) { return self.executor().held_bytes(); });
  module.def("supported_isas", [] {
    std::vector<std::string> names;
    for (const fullint::Isa isa : fullint::supported_isas()) {
      names.emplace_back(fullint::name_of(isa));
    }
    return names;
  });
}
