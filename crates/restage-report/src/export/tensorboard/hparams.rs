//! A run's parameters for TensorBoard's HParams page.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value;

use super::Origin;
use super::message::{
    HParamsData, Kind, PluginData, ProtoValue, Session, SessionEnd, SessionStart, Summary,
    SummaryMetadata, SummaryValue, TensorProto, TensorShape, Written,
};

/// The column that says of a run that it was adopted.
const ADOPTED: &str = "not run";

/// The start and the end of the session that TensorBoard makes of a run.
pub(super) fn summaries(origin: &Origin, start: f64) -> [Summary; 2] {
    let mut hparams = BTreeMap::new();
    for (path, value) in &origin.params {
        flatten(path, value, &mut hparams);
    }
    // Last, so that no parameter of this name hides it.
    if let Some(adopted) = &origin.adopted {
        flatten(ADOPTED, &adopted.as_str().into(), &mut hparams);
    }
    let seconds = match origin.seconds.is_finite() {
        true => origin.seconds,
        false => 0.0,
    };
    [
        summary(
            "_hparams_/session_start_info",
            Session::Start(SessionStart {
                hparams,
                start_time_secs: start,
            }),
        ),
        summary(
            "_hparams_/session_end_info",
            Session::End(SessionEnd {
                status: 1,
                end_time_secs: start + seconds,
            }),
        ),
    ]
}

/// The message is the tag's metadata; its value is a null, which is required.
fn summary(tag: &str, session: Session) -> Summary {
    let data = HParamsData {
        data: Some(session),
    };
    let value = SummaryValue {
        tag: tag.to_owned(),
        metadata: Some(SummaryMetadata {
            plugin_data: Some(PluginData {
                plugin_name: "hparams".to_owned(),
                content: data.encode_to_vec(),
            }),
        }),
        value: Some(Written::Tensor(TensorProto {
            dtype: 1,
            tensor_shape: Some(TensorShape {}),
            float_val: vec![0.0],
        })),
    };
    Summary { value: vec![value] }
}

/// Leaves by dotted path. A list is one value, written as JSON: the page has no columns for
/// items.
fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, ProtoValue>) {
    let kind = match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                flatten(&format!("{path}.{name}"), value, found);
            }
            return;
        }
        Value::Number(number) => match number.as_f64() {
            Some(number) => Kind::Number(number),
            None => Kind::Text(number.to_string()),
        },
        Value::Bool(value) => Kind::Bool(*value),
        Value::String(text) => Kind::Text(text.clone()),
        other => Kind::Text(other.to_string()),
    };
    found.insert(path.to_owned(), ProtoValue { kind: Some(kind) });
}
