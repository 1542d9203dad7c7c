//! Answers: their shapes, and the body that keeps the emulator from being idle.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::idle::ActivityGuard;

/// A body of an answer.
pub(crate) type Body = s3s::Body;

/// The content type of the JSON 1.1 services.
pub(crate) const JSON: &str = "application/x-amz-json-1.1";

/// An answer with a text.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A refusal of a JSON 1.1 service.
pub(crate) fn service_error(status: u16, code: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    // SageMaker says `Message`, others say `message`; clients look for either.
    let body = json!({ "__type": code, "message": message, "Message": message });
    let mut response = answer(status, JSON, body.to_string());
    if let Ok(code) = HeaderValue::from_str(code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

/// An answer that a fault gives: JSON 1.1, or S3's XML.
pub(crate) fn fault_answer(json: bool, status: u16, code: &str, message: &str) -> Response<Body> {
    if json {
        return service_error(status, code, message);
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code =
        s3s::S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(s3s::S3ErrorCode::InternalError);
    let mut error = s3s::S3Error::with_message(code, message.to_owned());
    error.set_status_code(status);
    error
        .to_http_response()
        .unwrap_or_else(|_| answer(status, "application/xml", String::new()))
}

/// A body that keeps the emulator from being idle until it was sent.
pub(crate) struct Guarded {
    pub(crate) body: Body,
    pub(crate) _guard: ActivityGuard,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}
