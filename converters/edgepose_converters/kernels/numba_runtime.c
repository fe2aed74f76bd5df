/* The few functions of numba's runtime that kernels call, without Python. */

#include <stdint.h>
#include <stdlib.h>

/* Laid out as in numba's nrt.h: kernels read `data`, and count `references` themselves. */
typedef struct {
    size_t references;
    void *destructor, *destructor_info, *data;
    size_t size;
    void *allocator;
} MemInfo;

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN MemInfo *NRT_MemInfo_alloc_aligned(size_t size, uint32_t alignment) {
    size_t unit = alignment < 64 ? 64 : alignment;
    size_t header = (sizeof(MemInfo) + unit - 1) / unit * unit;
    void *memory = NULL;
    if (size > SIZE_MAX - header || posix_memalign(&memory, unit, header + size)) return NULL;
    MemInfo *info = memory;
    *info = (MemInfo){1, NULL, NULL, (char *)memory + header, size, NULL};
    return info;
}

HIDDEN void NRT_MemInfo_call_dtor(MemInfo *info) { free(info); }

/* Strides of an array in another shape: of a contiguous one; others are refused. */
HIDDEN int numba_attempt_nocopy_reshape(int64_t ndim, const int64_t *shape, const int64_t *strides,
                                        int64_t new_ndim, const int64_t *new_shape,
                                        int64_t *new_strides, int64_t item_size, int is_fortran) {
    int64_t step = item_size;
    if (is_fortran) return 0;
    for (int64_t axis = ndim - 1; axis >= 0; axis--) {
        if (shape[axis] != 1 && strides[axis] != step) return 0;
        step *= shape[axis];
    }
    step = item_size;
    for (int64_t axis = new_ndim - 1; axis >= 0; axis--) {
        new_strides[axis] = step;
        step *= new_shape[axis];
    }
    return 1;
}
