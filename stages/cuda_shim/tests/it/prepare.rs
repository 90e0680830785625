//! A batch gathered from the uploaded images, with the bits that the train stage gives.
//! It must not know how orders and changes are drawn.

use crate::compare::{assert_same_bits, unset};
use crate::support::{STRIDE_BLOCK, in_both_orders, launch, line, or_return, or_skip};
use cuda_shim::Order;
use nn::pixels::{intensity, normalize};
use nn::random::{Stream, StreamName};
use proptest::prelude::*;

const IMAGE: usize = 3072;

/// Uploaded images, and an epoch's order and changes over them.
struct Epoch {
    pixels: Vec<u8>,
    labels: Vec<u8>,
    order: Vec<u32>,
    flip: Vec<u8>,
    delta: Vec<f32>,
}

impl Epoch {
    fn new(images: usize, seed: u64) -> Self {
        let stream = Stream::new(seed, StreamName::Data, 0);
        let word = |i: usize| stream.u32_at(i as u64);
        Self {
            pixels: (0..images * IMAGE).map(|i| (word(i) >> 8) as u8).collect(),
            labels: (0..images).map(|i| (word(i) % 10) as u8).collect(),
            order: stream
                .permutation(images)
                .iter()
                .map(|&i| i as u32)
                .collect(),
            flip: (0..images).map(|i| (word(i) >> 20 & 1) as u8).collect(),
            // Some take a byte out of range.
            delta: (0..images)
                .map(|i| stream.uniform_at(i as u64) - 0.5)
                .collect(),
        }
    }

    /// What train::augment makes of the image at `entry` of the order.
    fn want(&self, entry: usize) -> Vec<f32> {
        let image = self.order[entry] as usize;
        let bytes = &self.pixels[image * IMAGE..][..IMAGE];
        let shade = |&b: &u8| normalize((intensity(b) + self.delta[entry]).clamp(0.0, 1.0));
        let plain: Vec<f32> = bytes.iter().map(shade).collect();
        if self.flip[entry] == 0 {
            return plain;
        }
        let row = |row: &[f32]| {
            row.rchunks_exact(3)
                .flatten()
                .copied()
                .collect::<Vec<f32>>()
        };
        plain.chunks_exact(96).flat_map(row).collect()
    }

    fn images(&self, order: Order, cursor: i32, batch: usize, n: usize, blocks: usize) -> Vec<f32> {
        let mut images = unset(n * IMAGE);
        launch!(
            order,
            "prepare_images",
            line(blocks),
            STRIDE_BLOCK,
            self.pixels.as_ptr(),
            self.order.as_ptr(),
            self.flip.as_ptr(),
            self.delta.as_ptr(),
            &raw const cursor,
            batch as i32,
            n as i32,
            images.as_mut_ptr(),
        );
        images
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn images_and_labels_have_the_bits_of_the_train_stage(batch in 1_usize..6, cursor in 0_usize..4, last in 1_usize..6, blocks in 1_usize..40, seed in any::<u32>()) {
        or_skip!();
        // The last batch of an epoch may be a part of one.
        let n = last.min(batch);
        let epoch = Epoch::new(cursor * batch + n, seed.into());
        let [got] = in_both_orders(|order| [epoch.images(order, cursor as i32, batch, n, blocks)]);
        let want: Vec<f32> = (0..n).flat_map(|i| epoch.want(cursor * batch + i)).collect();
        assert_same_bits("images", &got, &want);
        let (mut labels, at) = (vec![u8::MAX; n], cursor as i32);
        launch!(
            Order::Forward, "prepare_labels", line(1), line(32),
            epoch.labels.as_ptr(), epoch.order.as_ptr(), &raw const at, batch as i32, n as i32,
            labels.as_mut_ptr(),
        );
        let want: Vec<u8> = (0..n)
            .map(|i| epoch.labels[epoch.order[cursor * batch + i] as usize])
            .collect();
        prop_assert_eq!(labels, want);
    }
}

#[test]
fn every_byte_is_scaled_as_the_train_stage_does() {
    or_return!();
    let pixels: Vec<u8> = (0..IMAGE).map(|i| i as u8).collect();
    let epoch = Epoch {
        pixels,
        labels: vec![0],
        order: vec![0],
        flip: vec![0],
        delta: vec![0.0],
    };
    let got = epoch.images(Order::Forward, 0, 1, 1, 1);
    let mut want = Vec::new();
    nn::pixels::scale_into(&epoch.pixels, &mut want);
    assert_same_bits("plain", &got, &want);
}

#[test]
fn advancing_is_one_step_whatever_the_grid() {
    or_return!();
    let mut cursor = 4_i32;
    launch!(Order::Forward, "advance", line(1), line(1), &raw mut cursor);
    launch!(
        Order::Forward,
        "advance",
        line(3),
        line(64),
        &raw mut cursor
    );
    assert_eq!(cursor, 6);
}
