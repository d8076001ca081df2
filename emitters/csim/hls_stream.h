// hls::stream<T, DEPTH>: a first-in, first-out queue between two tasks, for C-simulation.
// SPDX-License-Identifier: Apache-2.0
//
// In C-simulation tasks run one after another, each to its end, so a stream has to take whatever its writer writes:
// it grows, is never full, and DEPTH is a matter of the hardware alone. Reading from an empty stream, where hardware
// would wait for ever, throws; the vendor's header prints a warning and returns a default value.
#ifndef KERAS_HLS_CSIM_HLS_STREAM_H
#define KERAS_HLS_CSIM_HLS_STREAM_H

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace hls {

template <class T, int DEPTH = 0> class stream {
 public:
  stream() = default;
  stream(const char* name) : name_(name) {}  // a literal, or another text that lives as long as the stream
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;
  ~stream() {
    if (!empty()) {
      std::fprintf(stderr, "WARNING: hls::stream '%s' ends with %zu values that nobody read; hardware would hang.\n",
                   name_, size());
    }
    delete[] ring_;
  }

  T read() {
    if (empty()) read_while_empty();
    return ring_[head_++ & (capacity_ - 1)];
  }
  void read(T& x) { x = read(); }
  void write(const T& x) {
    if (size() == capacity_) return grow(x);
    ring_[tail_++ & (capacity_ - 1)] = x;
  }

  bool read_nb(T& x) {
    const bool there = !empty();
    x = there ? read() : T();
    return there;
  }
  bool write_nb(const T& x) {
    write(x);
    return true;
  }

  void operator>>(T& x) { read(x); }
  void operator<<(const T& x) { write(x); }

  bool empty() const { return head_ == tail_; }
  bool full() const { return false; }
  std::size_t size() const { return tail_ - head_; }
  std::size_t capacity() const { return capacity_; }
  const char* name() const { return name_; }

 private:
  // Kept out of line, so that read and write stay a handful of instructions.
  [[noreturn]] __attribute__((noinline, cold)) void read_while_empty() const {
    throw std::runtime_error("hls::stream '" + std::string(name_) +
                             "' is read while it is empty: its reader takes more values than were written.");
  }

  __attribute__((noinline, cold)) void grow(const T& x) {
    const std::size_t count = size();
    const std::size_t wider = capacity_ ? 2 * capacity_ : 64;  // a power of two, so that wrapping around is one AND
    T* const ring = new T[wider];
    for (std::size_t i = 0; i < count; ++i) ring[i] = ring_[(head_ + i) & (capacity_ - 1)];
    ring[count] = x;  // before the old ring goes: x may be in it
    delete[] ring_;
    ring_ = ring;
    capacity_ = wider;
    head_ = 0;
    tail_ = count + 1;
  }

  const char* name_ = "(unnamed)";
  T* ring_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace hls

#endif
