// One step of a ConvLSTM with 3x3 gates, forward and backward, in float32.
//
// Convolutions by Winograd's minimal filtering F(2x2, 3x3): Y = A^T [(G g G^T) * (B^T d B)] A, which
// needs 2.25 times fewer products (Lavin & Gray 2016, CVPR, section 4.1). A tile is 2x2 output
// pixels and reads 4x4 input pixels; `p` counts the 16 places of the transformed tile.
//
// Maps are channels-last: channel k of pixel (b, y, x) lies at ((b * H + y) * W + x) * n + k.
// Every sum runs in an order that neither batch nor threads change.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

using i64 = std::int64_t;

#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 12;
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 6;
#else
constexpr int LANES = 4, ROWS = 6;
#endif
constexpr int PANEL = 2 * LANES;  // output channels a product block covers
constexpr int PLACES = 16;
typedef float vec __attribute__((vector_size(4 * LANES)));

template <class T>
static inline T load(const float *p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
static inline void store(float *p, T v) {
    std::memcpy(p, &v, sizeof v);
}

static i64 up(i64 n, i64 step) { return (n + step - 1) / step * step; }

// Whole vectors first, then one channel at a time.
template <class Vectors, class Singles>
static inline void over(i64 n, Vectors vectors, Singles singles) {
    i64 c = 0;
    for (; c + LANES <= n; c += LANES) vectors(c);
    for (; c < n; ++c) singles(c);
}

template <class F>
static void parallel(i64 n, i64 threads, F f) {
    threads = std::max<i64>(1, std::min(threads, n));
    std::vector<std::thread> others;
    for (i64 k = 1; k < threads; ++k) {
        const i64 from = n * k / threads, to = n * (k + 1) / threads;
        try {
            others.emplace_back(f, from, to);
        } catch (...) {  // no more threads to be had
            f(from, to);
        }
    }
    f(0, n / threads);
    for (auto &other : others) other.join();
}

struct Grid {
    i64 B, H, W;
    i64 rows() const { return (H + 1) / 2; }
    i64 columns() const { return (W + 1) / 2; }
    i64 tiles() const { return B * rows() * columns(); }
    // index of a pixel of tile t, counted from its upper left output pixel; -1 outside the map
    i64 pixel(i64 t, i64 dy, i64 dx) const {
        const i64 y = 2 * (t / columns() % rows()) + dy, x = 2 * (t % columns()) + dx;
        if (y < 0 || x < 0 || y >= H || x >= W) return -1;
        return (t / (columns() * rows()) * H + y) * W + x;
    }
};

struct Map {
    const float *data;
    i64 n;
};

// Distance between the channels of two tiles: an odd number of panels of 16, so that rows of one
// channel do not fall into the same cache lines.
static i64 spread(i64 n) { return (up(std::max<i64>(n, ROWS), 16) / 16 | 1) * 16; }

// ---- transforms ------------------------------------------------------------------------------

template <class T>
static inline void input_places(const float *const d[PLACES], i64 c, float *v, i64 apart) {
    T w[4][4];
    for (int j = 0; j < 4; ++j) {
        const T a = load<T>(d[j] + c), b = load<T>(d[4 + j] + c);
        const T e = load<T>(d[8 + j] + c), f = load<T>(d[12 + j] + c);
        w[0][j] = a - e, w[1][j] = b + e, w[2][j] = e - b, w[3][j] = b - f;
    }
    for (int i = 0; i < 4; ++i) {
        store<T>(v + (4 * i) * apart + c, w[i][0] - w[i][2]);
        store<T>(v + (4 * i + 1) * apart + c, w[i][1] + w[i][2]);
        store<T>(v + (4 * i + 2) * apart + c, w[i][2] - w[i][1]);
        store<T>(v + (4 * i + 3) * apart + c, w[i][1] - w[i][3]);
    }
}

// B^T d B of tiles [t0, t1) into v[p][tile][channel], places `apart`, tiles `ld` floats from another
static void transform_input(Map m, const Grid &g, i64 t0, i64 t1, float *v, i64 apart, i64 ld) {
    const std::vector<float> zeros(m.n);
    for (i64 t = t0; t < t1; ++t, v += ld) {
        const float *d[PLACES];
        for (int q = 0; q < PLACES; ++q) {
            const i64 pixel = g.pixel(t, q / 4 - 1, q % 4 - 1);
            d[q] = pixel < 0 ? zeros.data() : m.data + pixel * m.n;
        }
        over(m.n, [&](i64 c) { input_places<vec>(d, c, v, apart); },
             [&](i64 c) { input_places<float>(d, c, v, apart); });
    }
}

// A^T m A of one panel of one tile: m[p] `apart` floats from another, four pixels `ld` apart
static inline void transform_output(const float *m, i64 apart, float *z, i64 ld) {
    for (int l = 0; l < PANEL; l += LANES) {
        vec r[2][4];
        for (int j = 0; j < 4; ++j) {
            const vec a = load<vec>(m + j * apart + l), b = load<vec>(m + (4 + j) * apart + l);
            const vec c = load<vec>(m + (8 + j) * apart + l), d = load<vec>(m + (12 + j) * apart + l);
            r[0][j] = a + b + c, r[1][j] = b - c - d;
        }
        for (int i = 0; i < 2; ++i) {
            store<vec>(z + 2 * i * ld + l, r[i][0] + r[i][1] + r[i][2]);
            store<vec>(z + (2 * i + 1) * ld + l, r[i][1] - r[i][2] - r[i][3]);
        }
    }
}

// A y A^T of one panel, the transpose of the above, for the gradient of the weights
static inline void spread_output(const float *const y[4], i64 k, i64 n, float *z, i64 apart) {
    float part[4][PANEL] = {};
    for (int q = 0; q < 4; ++q)
        if (y[q]) std::memcpy(part[q], y[q] + k, sizeof(float) * std::min<i64>(PANEL, n - k));
    for (int l = 0; l < PANEL; l += LANES) {
        vec r[4][2];
        for (int j = 0; j < 2; ++j) {
            const vec a = load<vec>(part[j] + l), b = load<vec>(part[2 + j] + l);
            r[0][j] = a, r[1][j] = a + b, r[2][j] = a - b, r[3][j] = -b;
        }
        for (int i = 0; i < 4; ++i) {
            store<vec>(z + (4 * i) * apart + l, r[i][0]);
            store<vec>(z + (4 * i + 1) * apart + l, r[i][0] + r[i][1]);
            store<vec>(z + (4 * i + 2) * apart + l, r[i][0] - r[i][1]);
            store<vec>(z + (4 * i + 3) * apart + l, -r[i][1]);
        }
    }
}

// ---- products --------------------------------------------------------------------------------

// out[r][l] = sum over q of a[r * ar + q * aq] * b[q][l], or that much more
template <bool more>
static inline void multiply(const float *a, i64 ar, i64 aq, const float *b, i64 n, float *out) {
    vec s[ROWS][2];
    for (int r = 0; r < ROWS; ++r)
        for (int l = 0; l < 2; ++l)
            s[r][l] = more ? load<vec>(out + r * PANEL + l * LANES) : vec{};
    for (i64 q = 0; q < n; ++q, a += aq, b += PANEL) {
        const vec b0 = load<vec>(b), b1 = load<vec>(b + LANES);
        for (int r = 0; r < ROWS; ++r) {
            const vec x = a[r * ar] - vec{};
            s[r][0] += x * b0;
            s[r][1] += x * b1;
        }
    }
    for (int r = 0; r < ROWS; ++r)
        for (int l = 0; l < 2; ++l) store<vec>(out + r * PANEL + l * LANES, s[r][l]);
}

// Tiles handled at once: their transformed inputs stay in the second-level cache.
static i64 chunk(i64 channels) {
    return std::max<i64>(ROWS, std::min<i64>(48, 98304 / (PLACES * spread(channels))) / ROWS * ROWS);
}

// `emit(pixel, z)` gets the convolution of [m1, m2] at every pixel, `outs` channels from z on.
template <class Emit>
static void convolve(Map m1, Map m2, const float *packed, i64 outs, Grid g, i64 threads, Emit emit) {
    const i64 n = m1.n + m2.n, ld = spread(n), T = chunk(n), width = up(outs, PANEL);
    parallel(up(g.tiles(), T) / T, threads, [=](i64 from, i64 to) {
        std::vector<float> v(PLACES * T * ld), m(PLACES * T * PANEL), z(T * 4 * width);
        for (i64 t0 = from * T; t0 < std::min(to * T, g.tiles()); t0 += T) {
            const i64 t1 = std::min(t0 + T, g.tiles());
            transform_input(m1, g, t0, t1, v.data(), T * ld, ld);
            transform_input(m2, g, t0, t1, v.data() + m1.n, T * ld, ld);
            const float *u = packed;
            for (i64 k = 0; k < outs; k += PANEL) {
                for (i64 p = 0; p < PLACES; ++p, u += n * PANEL)
                    for (i64 t = 0; t < t1 - t0; t += ROWS)
                        multiply<false>(&v[(p * T + t) * ld], ld, 1, u, n, &m[(p * T + t) * PANEL]);
                for (i64 t = 0; t < t1 - t0; ++t)
                    transform_output(&m[t * PANEL], T * PANEL, &z[t * 4 * width + k], width);
            }
            for (i64 t = t0; t < t1; ++t)
                for (i64 q = 0; q < 4; ++q) {
                    const i64 pixel = g.pixel(t, q / 2, q % 2);
                    if (pixel >= 0) emit(pixel, &z[((t - t0) * 4 + q) * width]);
                }
        }
    });
}

// ---- gates -----------------------------------------------------------------------------------

// Cephes' expf, tanhf: within 2 units in the last place; a NaN stays a NaN
static inline float exponential(float x) {
    x = x > 87.0f ? 87.0f : x;  // beyond, sigmoids would be too small to be normal numbers
    x = x < -87.0f ? -87.0f : x;
    const float magic = 12582912.0f, n = (x * 1.44269504f + magic) - magic;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    const std::int32_t bits = (std::int32_t(n) + 127) * (1 << 23);
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return y * scale;
}

static inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

static inline float hyperbolic(float x) {
    const float z = x * x, far = 1.0f - 2.0f / (exponential(2.0f * std::fabs(x)) + 1.0f);
    float y = -5.70498872745e-3f;
    y = y * z + 2.06390887954e-2f;
    y = y * z - 5.37397155531e-2f;
    y = y * z + 1.33314422036e-1f;
    y = y * z - 3.33332819422e-1f;
    return std::fabs(x) < 0.625f ? y * z * x + x : std::copysign(far, x);
}

// Everything a step reads and writes, per pixel: kept `(3 F)`, the others `(F)`; null where absent
struct Step {
    i64 F, pixels;  // pixels of one map, the period of the peepholes
    const float *bias, *peep, *before;
    float *kept, *sums, *h, *c;  // kept: i, f and g; sums: of the output gate, before c is seen
};

static inline void gate_pixel(const Step &s, i64 pixel, float *z) {
    const i64 F = s.F;
    const float *__restrict before = s.before + pixel * F, *__restrict bias = s.bias;
    float *__restrict i = z, *__restrict f = z + F, *__restrict g = z + 2 * F, *__restrict o = z + 3 * F;
    float *__restrict h = s.h + pixel * F, *__restrict c = s.c + pixel * F;
    for (i64 k = 0; k < 4 * F; ++k) z[k] += bias[k];
    if (s.sums) std::memcpy(s.sums + pixel * F, o, sizeof(float) * F);
    const float *peep = s.peep ? s.peep + pixel % s.pixels * F : nullptr;
    const i64 apart = s.pixels * F;
    if (peep)
        for (i64 k = 0; k < F; ++k) i[k] += peep[k] * before[k], f[k] += peep[apart + k] * before[k];
    for (i64 k = 0; k < F; ++k) {
        i[k] = sigmoid(i[k]), f[k] = sigmoid(f[k]), g[k] = hyperbolic(g[k]);
        c[k] = f[k] * before[k] + i[k] * g[k];
    }
    if (peep)
        for (i64 k = 0; k < F; ++k) o[k] += peep[2 * apart + k] * c[k];
    for (i64 k = 0; k < F; ++k) h[k] = sigmoid(o[k]) * hyperbolic(c[k]);
    if (s.kept) std::memcpy(s.kept + pixel * 3 * F, z, sizeof(float) * 3 * F);
}

struct Back {
    i64 F, pixels;
    const float *kept, *sums, *peep, *before, *c, *dh, *dsums, *dc;
    float *to_sums, *to_c, *dz, *dbefore;
};

// h = sigmoid(sums + peep c) tanh(c)
static inline void output_gradient(const Back &s, i64 pixel) {
    const i64 F = s.F, at = pixel * F;
    const float *__restrict sums = s.sums + at, *__restrict c = s.c + at, *__restrict dh = s.dh + at;
    float *__restrict to_sums = s.to_sums + at, *__restrict to_c = s.to_c + at;
    const float *peep = s.peep ? s.peep + (2 * s.pixels + pixel % s.pixels) * F : nullptr;
    std::memcpy(to_sums, sums, sizeof(float) * F);
    if (peep)
        for (i64 k = 0; k < F; ++k) to_sums[k] += peep[k] * c[k];
    for (i64 k = 0; k < F; ++k) {
        const float o = sigmoid(to_sums[k]), t = hyperbolic(c[k]);
        to_sums[k] = dh[k] * t * o * (1.0f - o);
        to_c[k] = dh[k] * o * (1.0f - t * t);
    }
    if (peep)
        for (i64 k = 0; k < F; ++k) to_c[k] += peep[k] * to_sums[k];
}

// c = f before + i g
static inline void gate_gradient(const Back &s, i64 pixel) {
    const i64 F = s.F, at = pixel * F, apart = s.pixels * F;
    const float *__restrict i = s.kept + 3 * at, *__restrict f = i + F, *__restrict g = f + F;
    const float *__restrict before = s.before + at, *__restrict dc = s.dc + at;
    float *__restrict di = s.dz + 4 * at, *__restrict df = di + F, *__restrict dg = df + F;
    float *__restrict dbefore = s.dbefore + at;
    const float *peep = s.peep ? s.peep + pixel % s.pixels * F : nullptr;
    for (i64 k = 0; k < F; ++k) {
        di[k] = dc[k] * g[k] * i[k] * (1.0f - i[k]);
        df[k] = dc[k] * before[k] * f[k] * (1.0f - f[k]);
        dg[k] = dc[k] * i[k] * (1.0f - g[k] * g[k]);
        dbefore[k] = dc[k] * f[k];
    }
    std::memcpy(dg + F, s.dsums + at, sizeof(float) * F);
    if (peep)
        for (i64 k = 0; k < F; ++k) dbefore[k] += di[k] * peep[k] + df[k] * peep[apart + k];
}

// ---- weights ---------------------------------------------------------------------------------

// G g G^T of a 3x3 filter, turned by 180 degrees for the gradient of the input
static void transform_filter(const float *g, bool turned, float *u, i64 apart) {
    float r[4][3];
    for (int j = 0; j < 3; ++j) {
        const float a = turned ? g[8 - j] : g[j];
        const float b = turned ? g[5 - j] : g[3 + j], c = turned ? g[2 - j] : g[6 + j];
        r[0][j] = a, r[1][j] = 0.5f * (a + b + c), r[2][j] = 0.5f * (a - b + c), r[3][j] = c;
    }
    for (int i = 0; i < 4; ++i, u += 4 * apart) {
        const float a = r[i][0], b = r[i][1], c = r[i][2];
        u[0] = a, u[apart] = 0.5f * (a + b + c), u[2 * apart] = 0.5f * (a - b + c);
        u[3 * apart] = c;
    }
}

// G^T u G, the transpose of the above
static void gather_filter(const float *u, i64 apart, float *g) {
    float r[3][4];
    for (int j = 0; j < 4; ++j) {
        const float a = u[j * apart], b = u[(4 + j) * apart];
        const float c = u[(8 + j) * apart], d = u[(12 + j) * apart];
        r[0][j] = a + 0.5f * (b + c), r[1][j] = 0.5f * (b - c), r[2][j] = 0.5f * (b + c) + d;
    }
    for (int i = 0; i < 3; ++i) {
        const float a = r[i][0], b = r[i][1], c = r[i][2], d = r[i][3];
        g[3 * i] = a + 0.5f * (b + c), g[3 * i + 1] = 0.5f * (b - c), g[3 * i + 2] = 0.5f * (b + c) + d;
    }
}

struct Weights {
    Map x, h;
    Map dz;
    Grid g;
    float *dw, *dbias;

    // A dz A^T of output channels [k, k + PANEL) but below `to`, into z[p][tile][lane]
    void spread_outputs(i64 t0, i64 t1, i64 k, i64 to, float *z, i64 apart) const {
        for (i64 t = t0; t < t1; ++t, z += PANEL) {
            const float *y[4];
            for (int q = 0; q < 4; ++q) {
                const i64 pixel = g.pixel(t, q / 2, q % 2);
                y[q] = pixel < 0 ? nullptr : dz.data + pixel * dz.n;
            }
            spread_output(y, k, to, z, apart);
        }
    }

    // gradient of output channels [from, to), all products of a place in the order of the tiles
    void gather(i64 from, i64 to) const {
        const i64 n = x.n + h.n, ld = spread(n), T = chunk(n), rows = up(n, ROWS);
        const i64 panels = up(to - from, PANEL) / PANEL, block = T * PANEL, sum = rows * PANEL;
        std::vector<float> v(PLACES * T * ld), z(panels * PLACES * block);
        std::vector<float> u(panels * PLACES * sum), bias(panels * PANEL);
        for (i64 t0 = 0; t0 < g.tiles(); t0 += T) {
            const i64 t1 = std::min(t0 + T, g.tiles());
            transform_input(x, g, t0, t1, v.data(), T * ld, ld);
            transform_input(h, g, t0, t1, v.data() + x.n, T * ld, ld);
            for (i64 k = 0; k < panels; ++k)
                spread_outputs(t0, t1, from + k * PANEL, to, &z[k * PLACES * block], block);
            for (i64 p = 0; p < PLACES; ++p)
                for (i64 k = 0; k < panels; ++k)
                    for (i64 c = 0; c < n; c += ROWS)
                        multiply<true>(&v[p * T * ld + c], 1, ld, &z[(k * PLACES + p) * block],
                                       t1 - t0, &u[(k * PLACES + p) * sum + c * PANEL]);
            for (i64 k = 0; k < panels; ++k)
                for (i64 q = 0; q < (t1 - t0) * PANEL; ++q)  // place (1, 1) sums a tile's pixels
                    bias[k * PANEL + q % PANEL] += z[(k * PLACES + 5) * block + q];
        }
        for (i64 k = from; k < to; ++k) {
            const i64 panel = (k - from) / PANEL, lane = (k - from) % PANEL;
            dbias[k] = bias[k - from];
            for (i64 c = 0; c < n; ++c)
                gather_filter(&u[panel * PLACES * sum + c * PANEL + lane], sum, dw + (k * n + c) * 9);
        }
    }
};

// ---- what Python calls -----------------------------------------------------------------------

extern "C" {

// Floats that packed weights take.
i64 packed_size(i64 outs, i64 ins) { return up(outs, PANEL) * PLACES * ins; }

// w `(outs, ins, 3, 3)` of a forward convolution into packed[panel][p][in][lane]
void pack(const float *w, i64 outs, i64 ins, float *packed) {
    std::memset(packed, 0, sizeof(float) * packed_size(outs, ins));
    for (i64 k = 0; k < outs; ++k)
        for (i64 c = 0; c < ins; ++c)
            transform_filter(w + (k * ins + c) * 9, false,
                             packed + ((k / PANEL * PLACES) * ins + c) * PANEL + k % PANEL, ins * PANEL);
}

// The same weights for the gradient of input channels `from` and above
void pack_turned(const float *w, i64 outs, i64 ins, i64 from, float *packed) {
    std::memset(packed, 0, sizeof(float) * packed_size(ins - from, outs));
    for (i64 c = from; c < ins; ++c)
        for (i64 k = 0; k < outs; ++k) {
            const i64 panel = (c - from) / PANEL, lane = (c - from) % PANEL;
            transform_filter(w + (k * ins + c) * 9, true,
                             packed + ((panel * PLACES) * outs + k) * PANEL + lane, outs * PANEL);
        }
}

// x `(C)`, h and c `(F)` a pixel; kept and sums may be null
void step(const float *x, i64 C, const float *h, const float *c, i64 F, const float *packed,
          const float *bias, const float *peep, i64 B, i64 H, i64 W, float *kept, float *sums,
          float *h_out, float *c_out, i64 threads) {
    const Step s{F, H * W, bias, peep, c, kept, sums, h_out, c_out};
    convolve({x, C}, {h, F}, packed, 4 * F, {B, H, W}, threads,
             [s](i64 pixel, float *z) { gate_pixel(s, pixel, z); });
}

// From the gradient of h to those of the output gate's sums and of c
void output_backward(const float *sums, const float *peep, const float *c, const float *dh, i64 F,
                     i64 B, i64 H, i64 W, float *to_sums, float *to_c, i64 threads) {
    Back s{};
    s.F = F, s.pixels = H * W, s.sums = sums, s.peep = peep, s.c = c, s.dh = dh;
    s.to_sums = to_sums, s.to_c = to_c;
    parallel(B * H * W, threads, [s](i64 from, i64 to) {
        for (i64 pixel = from; pixel < to; ++pixel) output_gradient(s, pixel);
    });
}

// From the gradients of c and of the output gate's sums to those of all sums and of the c before
void gates_backward(const float *kept, const float *peep, const float *before, const float *dsums,
                    const float *dc, i64 F, i64 B, i64 H, i64 W, float *dz, float *dbefore,
                    i64 threads) {
    Back s{};
    s.F = F, s.pixels = H * W, s.kept = kept, s.peep = peep, s.before = before;
    s.dsums = dsums, s.dc = dc, s.dz = dz, s.dbefore = dbefore;
    parallel(B * H * W, threads, [s](i64 from, i64 to) {
        for (i64 pixel = from; pixel < to; ++pixel) gate_gradient(s, pixel);
    });
}

// Gradient of x (skipped when null) and of h; `turned` starts at x's or at h's channels
void input_backward(const float *dz, i64 K, const float *turned, i64 B, i64 H, i64 W, float *dx,
                    i64 C, float *dh, i64 F, i64 threads) {
    const i64 first = dx ? C : 0;
    convolve({dz, K}, {nullptr, 0}, turned, first + F, {B, H, W}, threads, [=](i64 pixel, float *z) {
        if (dx) std::memcpy(dx + pixel * C, z, sizeof(float) * C);
        std::memcpy(dh + pixel * F, z + first, sizeof(float) * F);
    });
}

// dw `(K, C + F, 3, 3)` and dbias `(K)`
void weight_backward(const float *x, i64 C, const float *h, i64 F, const float *dz, i64 K, i64 B,
                     i64 H, i64 W, float *dw, float *dbias, i64 threads) {
    const Weights all{{x, C}, {h, F}, {dz, K}, {B, H, W}, dw, dbias};
    parallel(up(K, PANEL) / PANEL, threads, [all, K](i64 from, i64 to) {
        all.gather(from * PANEL, std::min(to * PANEL, K));
    });
}
}
