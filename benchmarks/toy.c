// The limit of the toy benchmark: Adam on f(x) = sum_i lambda_i x_i^2 / 2 with the statistics of
// an envelope, written by hand for this one problem. Blocks of cells stay in vector registers or
// the first cache; OpenMP spreads the blocks over threads.
//
// REAL, INTEGER, MANTISSA and BIAS define the IEEE 754 format; BLOCK is the number of cells in a
// block.
#include <math.h>
#include <stdint.h>
#include <string.h>

#define DIM 2

void run(int64_t cells, int64_t windows, int64_t length, const REAL *a_eta, const REAL *b_eta,
         REAL eta, REAL eps, const REAL *lambda, const REAL *start, REAL *loss_min, REAL *loss_max,
         REAL *loss_mean, REAL *log10_loss_mean) {
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t block = 0; block < cells; block += BLOCK) {
        REAL x[DIM][BLOCK], m[DIM][BLOCK], v[DIM][BLOCK];
        REAL m_weight[BLOCK], v_weight[BLOCK], a[BLOCK], b[BLOCK];
        for (int l = 0; l < BLOCK; l++) {
            for (int d = 0; d < DIM; d++) x[d][l] = start[d], m[d][l] = v[d][l] = 0;
            m_weight[l] = v_weight[l] = 0, a[l] = a_eta[block + l], b[l] = b_eta[block + l];
        }
        for (int64_t w = 0; w < windows; w++) {
            REAL low[BLOCK], high[BLOCK], sum[BLOCK], product[BLOCK];
            INTEGER exponent[BLOCK];
            for (int l = 0; l < BLOCK; l++)
                low[l] = (REAL)1e30, high[l] = sum[l] = 0, product[l] = 1, exponent[l] = 0;
            for (int64_t t = 0; t < length; t++) {
#pragma omp simd
                for (int l = 0; l < BLOCK; l++) {
                    REAL loss = 0;
                    m_weight[l] += b[l] * (1 - m_weight[l]), v_weight[l] += a[l] * (1 - v_weight[l]);
                    REAL m_scale = eta / m_weight[l], v_scale = 1 / v_weight[l];
                    for (int d = 0; d < DIM; d++) {
                        REAL g = lambda[d] * x[d][l];
                        loss += (REAL)0.5 * g * x[d][l];
                        m[d][l] += b[l] * (g - m[d][l]);
                        v[d][l] += a[l] * (g * g - v[d][l]);
                        x[d][l] -= m_scale * m[d][l] / ((REAL)sqrt(v_scale * v[d][l]) + eps);
                    }
                    low[l] = loss < low[l] ? loss : low[l];
                    high[l] = loss > high[l] ? loss : high[l];
                    sum[l] += loss;
                    // The product of all losses, as a mantissa in [1, 2) and an exponent.
                    REAL p = product[l] * loss;
                    INTEGER bits;
                    memcpy(&bits, &p, sizeof bits);
                    exponent[l] += ((bits >> MANTISSA) & (2 * BIAS + 1)) - BIAS;
                    bits = (bits & (((INTEGER)1 << MANTISSA) - 1)) | ((INTEGER)BIAS << MANTISSA);
                    memcpy(&p, &bits, sizeof p);
                    product[l] = p;
                }
            }
            for (int l = 0; l < BLOCK; l++) {
                int64_t i = (block + l) * windows + w;
                loss_min[i] = low[l], loss_max[i] = high[l], loss_mean[i] = sum[l] / length;
                log10_loss_mean[i] = (exponent[l] + log2(product[l])) * 0.30102999566398120 / length;
            }
        }
    }
}
