// The numbers of one sampling step as kernels read them: x0 = px x + pm m; x' = cx x + cm m + c0 x0 + c1 x0Previous
// + cn exp(cv (1 + variance) / 2) noise.

struct Coefficients { px: f32, pm: f32, cx: f32, cm: f32, c0: f32, c1: f32, cn: f32, cv: f32 }
