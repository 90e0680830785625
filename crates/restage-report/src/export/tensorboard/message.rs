//! The protocol buffers of an event file: the fields that we write.
//!
//! Field numbers are those of tensorflow/core/util/event.proto, core/framework/{summary,tensor,
//! tensor_shape,types}.proto, tensorboard/plugins/hparams/plugin_data.proto and
//! google/protobuf/struct.proto. Readers skip absent fields.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

/// `tensorflow.Event`: a record of the file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    pub(super) what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum What {
    /// `brain.Event:2`, in the first record only.
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

/// `tensorflow.Summary`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`
#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryValue {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(message, optional, tag = "9")]
    pub(super) metadata: Option<SummaryMetadata>,
    #[prost(oneof = "Written", tags = "2, 8")]
    pub(super) value: Option<Written>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Written {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "8")]
    Tensor(TensorProto),
}

/// `tensorflow.SummaryMetadata`
#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryMetadata {
    #[prost(message, optional, tag = "1")]
    pub(super) plugin_data: Option<PluginData>,
}

/// `tensorflow.SummaryMetadata.PluginData`
#[derive(Clone, PartialEq, Message)]
pub(super) struct PluginData {
    #[prost(string, tag = "1")]
    pub(super) plugin_name: String,
    /// The plugin's own message.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) content: Vec<u8>,
}

/// `tensorflow.TensorProto`
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    /// `DT_FLOAT` is 1.
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) tensor_shape: Option<TensorShape>,
    #[prost(float, repeated, tag = "5")]
    pub(super) float_val: Vec<f32>,
}

/// `tensorflow.TensorShapeProto`: without dimensions, a scalar.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorShape {}

/// `tensorboard.hparams.HParamsPluginData`
#[derive(Clone, PartialEq, Message)]
pub(super) struct HParamsData {
    #[prost(oneof = "Session", tags = "3, 4")]
    pub(super) data: Option<Session>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Session {
    #[prost(message, tag = "3")]
    Start(SessionStart),
    #[prost(message, tag = "4")]
    End(SessionEnd),
}

/// `tensorboard.hparams.SessionStartInfo`
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) hparams: BTreeMap<String, ProtoValue>,
    #[prost(double, tag = "5")]
    pub(super) start_time_secs: f64,
}

/// `tensorboard.hparams.SessionEndInfo`
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionEnd {
    /// `STATUS_SUCCESS` is 1.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
    #[prost(double, tag = "2")]
    pub(super) end_time_secs: f64,
}

/// `google.protobuf.Value`
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProtoValue {
    #[prost(oneof = "Kind", tags = "2, 3, 4")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
}
