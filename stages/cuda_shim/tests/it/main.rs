//! The CUDA kernels, run on the CPU, against `nn::reference` over random shapes.
//! It must not know the host's side of the engine.

mod adam;
mod compare;
mod conv;
mod norm;
mod norm_gradient;
mod pool;
mod prepare;
mod reduce;
mod shim;
mod softmax;
mod support;
