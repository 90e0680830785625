//! What is said where there is no GPU.
//! It must not know networks.

use cuda::driver::{OpenError, count, open};

#[test]
fn a_machine_without_a_driver_says_so_and_what_to_do() {
    match open(0, None) {
        Err(error @ OpenError::NoDriver) => {
            assert_eq!(
                error.to_string(),
                "no NVIDIA driver: `libcuda.so.1` cannot be loaded"
            );
            assert!(error.hint().contains("train.device=cpu"));
            assert!(matches!(count(), Err(OpenError::NoDriver)));
        }
        _ => println!("skipped: this machine has NVIDIA's driver"),
    }
}
