//! `+ - * / %` and conversions. Nothing wraps: what doesn't fit is a failure, and so is a division by zero.

use std::borrow::Cow;

use super::{
    Failure, literal,
    node::{Conversion, Operator},
    value::Val,
};
use crate::time::Time;

/// Both sides are present; the check knows that they fit together, but for values of any type.
pub(super) fn compute<'a>(operator: Operator, left: Val<'a>, right: Val<'a>) -> Result<Val<'a>, Failure> {
    use Operator::{Add, Subtract};
    let value = match (operator, left, right) {
        (Add, Val::Text(a), Val::Text(b)) => Val::Text(a + b),
        (Add, Val::Bytes(a), Val::Bytes(b)) => Val::Bytes(Cow::Owned([a, b].concat())),
        (Add, Val::List(mut a), Val::List(b)) => {
            a.extend(b);
            Val::List(a)
        }
        (Add, Val::Time(time), Val::Duration(nanos)) | (Add, Val::Duration(nanos), Val::Time(time)) => {
            Val::Time(Time(time.0.checked_add_signed(nanos).ok_or(Failure::Overflow)?))
        }
        (Subtract, Val::Time(time), Val::Duration(nanos)) => {
            Val::Time(Time(time.0.checked_sub_signed(nanos).ok_or(Failure::Overflow)?))
        }
        (Subtract, Val::Time(a), Val::Time(b)) => {
            Val::Duration(i64::try_from(i128::from(a.0) - i128::from(b.0)).map_err(|_| Failure::Overflow)?)
        }
        (Add, Val::Duration(a), Val::Duration(b)) => Val::Duration(a.checked_add(b).ok_or(Failure::Overflow)?),
        (Subtract, Val::Duration(a), Val::Duration(b)) => Val::Duration(a.checked_sub(b).ok_or(Failure::Overflow)?),
        (operator, left, right) => numbers(operator, &left, &right)?,
    };
    Ok(value)
}

fn numbers<'a>(operator: Operator, left: &Val<'_>, right: &Val<'_>) -> Result<Val<'a>, Failure> {
    if let (Some(a), Some(b)) = (left.integer(), right.integer()) {
        // 64-bit numbers: none of these overflows 128 bits.
        let value = match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a.checked_div(b).ok_or(Failure::DivisionByZero)?,
            Operator::Modulo => a.checked_rem(b).ok_or(Failure::DivisionByZero)?,
        };
        return match (left, right) {
            (Val::Uint(_), Val::Uint(_)) => u64::try_from(value).map(Val::Uint),
            _ => i64::try_from(value).map(Val::Int),
        }
        .map_err(|_| Failure::Overflow);
    }
    let (Some(a), Some(b)) = (float(left), float(right)) else { return Ok(Val::Absent) };
    Ok(Val::Float(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        // As IEEE 754 has it: infinite or not a number, which compares with nothing.
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
    }))
}

fn float(value: &Val<'_>) -> Option<f64> {
    match value {
        Val::Float(value) => Some(*value),
        other => other.integer().map(|value| value as f64),
    }
}

pub(super) fn negate(value: Val<'_>) -> Result<Val<'_>, Failure> {
    match value {
        Val::Int(value) => value.checked_neg().map(Val::Int).ok_or(Failure::Overflow),
        Val::Duration(value) => value.checked_neg().map(Val::Duration).ok_or(Failure::Overflow),
        Val::Float(value) => Ok(Val::Float(-value)),
        _ => Ok(Val::Absent),
    }
}

pub(super) fn convert(to: Conversion, value: Val<'_>) -> Result<Val<'_>, Failure> {
    let bad = Failure::BadConversion;
    match (to, value) {
        (_, Val::Absent) => Ok(Val::Absent),
        (Conversion::Int, Val::Text(text)) => text.parse().map(Val::Int).map_err(|_| bad),
        (Conversion::Int, Val::Time(time)) => Ok(Val::Int((time.0 / 1_000_000_000) as i64)),
        (Conversion::Int, Val::Float(value)) => {
            whole(value).and_then(|value| i64::try_from(value).ok()).map(Val::Int).ok_or(Failure::Overflow)
        }
        (Conversion::Int, value) => {
            value.integer().and_then(|value| i64::try_from(value).ok()).map(Val::Int).ok_or(Failure::Overflow)
        }
        (Conversion::Uint, Val::Text(text)) => text.parse().map(Val::Uint).map_err(|_| bad),
        (Conversion::Uint, Val::Float(value)) => {
            whole(value).and_then(|value| u64::try_from(value).ok()).map(Val::Uint).ok_or(Failure::Overflow)
        }
        (Conversion::Uint, value) => {
            value.integer().and_then(|value| u64::try_from(value).ok()).map(Val::Uint).ok_or(Failure::Overflow)
        }
        (Conversion::Float, Val::Text(text)) => text.parse().map(Val::Float).map_err(|_| bad),
        (Conversion::Float, value) => float(&value).map(Val::Float).ok_or(bad),
        (Conversion::Text, value) => value.text().map(|text| Val::Text(Cow::Owned(text))).ok_or(bad),
        (Conversion::Time, Val::Text(text)) => literal::time(&text).map(Val::Time).ok_or(bad),
        (Conversion::Time, value @ Val::Time(_)) => Ok(value),
        // Seconds since 1970, as in CEL.
        (Conversion::Time, value) => {
            let seconds = value.integer().and_then(|seconds| u64::try_from(seconds).ok());
            seconds
                .and_then(|seconds| seconds.checked_mul(1_000_000_000))
                .map(|nanos| Val::Time(Time(nanos)))
                .ok_or(Failure::Overflow)
        }
        (Conversion::Duration, Val::Text(text)) => literal::duration(&text).map(Val::Duration).ok_or(bad),
        (Conversion::Duration, value @ Val::Duration(_)) => Ok(value),
        (Conversion::Duration, _) => Err(bad),
    }
}

/// Without its fraction; `None` when it is not finite.
fn whole(value: f64) -> Option<i128> {
    value.is_finite().then_some(value.trunc() as i128)
}
