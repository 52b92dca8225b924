use proptest::prelude::*;

use super::*;

fn nonce() -> Nonce {
    Nonce::new([7; 16])
}

/// Kind, fields, span.
type Written = (&'static str, Vec<Vec<u8>>, Option<Vec<u8>>);

/// What a correct program would write.
fn written(nonce: &Nonce, records: &[Written]) -> Vec<u8> {
    let nonce = nonce.as_str();
    let mut out = format!("\nclearway/1 {nonce}\n").into_bytes();
    for (kind, fields, span) in records {
        out.extend(format!("{nonce} {kind}").bytes());
        for field in fields {
            out.extend(format!(" {}:", field.len()).bytes());
            out.extend(field);
        }
        if let Some(raw) = span {
            out.extend(b" <\n");
            out.extend(raw);
            out.extend(format!("\n{nonce} >").bytes());
        }
        out.push(b'\n');
    }
    out.extend(format!("{nonce} end {}\n", records.len()).bytes());
    out
}

fn garbage(bytes: &[u8]) -> Garbage {
    match decode(bytes, &nonce(), Limits::default()) {
        Err(FrameError::Garbage { what, .. }) => what,
        other => panic!("expected garbage, got {other:?}"),
    }
}

/// `body` between the begin line and an end record that counts `count`.
fn stream(body: &str, count: usize) -> Vec<u8> {
    let n = nonce();
    let n = n.as_str();
    format!("clearway/1 {n}\n{}{n} end {count}\n", body.replace('N', n)).into_bytes()
}

#[test]
fn noise_before_the_begin_line_is_skipped_and_kept() {
    let mut bytes = b"Last login: never\nclearway/1 00000000000000000000000000000000\nhey".to_vec();
    bytes.extend(written(&nonce(), &[("host", vec![b"a".to_vec()], None)]));
    let mut decoder = Decoder::new(&nonce(), Limits::default());
    decoder.push(&bytes).expect("good");
    decoder.finish().expect("whole");
    assert!(decoder.noise().starts_with(b"Last login"));
    assert_eq!(decoder.next_record().expect("one").kind, "host");
    assert_eq!(decoder.next_record(), None);
}

#[test]
fn a_begin_line_in_the_middle_of_a_line_does_not_begin() {
    let mut bytes = b"noise ".to_vec();
    bytes.extend(&written(&nonce(), &[])[1..]);
    assert!(matches!(
        decode(&bytes, &nonce(), Limits::default()),
        Err(FrameError::NoBegin { .. })
    ));
}

#[test]
fn who_does_not_know_the_nonce_cannot_answer() {
    let bytes = written(&Nonce::new([8; 16]), &[("host", vec![], None)]);
    assert_eq!(
        decode(&bytes, &nonce(), Limits::default()),
        Err(FrameError::NoBegin { noise: bytes.len() })
    );
}

#[test]
fn who_does_not_know_the_nonce_cannot_add_a_record_or_close_a_span() {
    assert_eq!(garbage(&stream("N a\nfake b\n", 2)), Garbage::NotARecord);
    let inner = "x\n00000000000000000000000000000000 >\nN end 0\n "
        .replace('N', nonce().child("c").as_str());
    let bytes = stream(&format!("N file 1:f <\n{inner}\nN >\n"), 1);
    let records = decode(&bytes, &nonce(), Limits::default()).expect("one span");
    assert_eq!(records[0].span.as_deref(), Some(inner.as_bytes()));
}

#[test]
fn what_breaks_the_form_is_named() {
    for (body, expected) in [
        ("N\n", Garbage::NotARecord),
        ("\n", Garbage::NotARecord),
        ("clearway/1 N\n", Garbage::SecondBegin),
        ("N  1:a\n", Garbage::BadKind),
        ("N Host 1:a\n", Garbage::BadKind),
        ("N abcdefghijklmnopqrstuvwxyzabcdefg\n", Garbage::BadKind),
        ("N host a\n", Garbage::BadLength),
        ("N host \n", Garbage::BadLength),
        ("N host -1:\n", Garbage::BadLength),
        ("N host 01:a\n", Garbage::BadLength),
        ("N host 1;a\n", Garbage::BadLength),
        ("N host 0000000001:a\n", Garbage::BadLength),
        ("N host 1:ab\n", Garbage::BadField),
        ("N host <x\n", Garbage::BadField),
        ("N >\n", Garbage::NotOpen),
        ("N end\n", Garbage::BadCount),
        ("N end x\n", Garbage::BadCount),
        ("N end 1 \n", Garbage::BadCount),
    ] {
        assert_eq!(garbage(&stream(body, 1)), expected, "{body:?}");
    }
}

#[test]
fn missing_and_added_records_are_noticed() {
    for count in [0, 1, 3] {
        assert_eq!(
            decode(&stream("N a\nN b\n", count), &nonce(), Limits::default()),
            Err(FrameError::Count {
                claimed: count,
                seen: 2
            })
        );
    }
}

#[test]
fn what_comes_after_the_end_record_counts_for_nothing() {
    let mut bytes = stream("N a\n", 1);
    bytes.extend_from_slice(b"logout\n");
    bytes.extend(stream("N b\n", 1));
    let records = decode(&bytes, &nonce(), Limits::default()).expect("good");
    assert_eq!(records.len(), 1);
}

#[test]
fn every_limit_is_kept() {
    let limits = Limits {
        bytes: 400,
        noise: 10,
        records: 2,
        fields: 2,
        field: 5,
    };
    let what = |bytes: &[u8]| match decode(bytes, &nonce(), limits) {
        Err(FrameError::TooMuch { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(&[b'x'; 401]), "bytes");
    assert_eq!(what(&[b'x'; 60]), "bytes before the begin line");
    assert_eq!(
        what(&[b"0123456789\n".to_vec(), stream("", 0)].concat()),
        "bytes before the begin line"
    );
    assert_eq!(what(&stream("N a\nN b\nN c\n", 3)), "records");
    assert_eq!(what(&stream("N a 0: 0: 0:\n", 1)), "fields in a record");
    assert_eq!(what(&stream("N a 6:abcdef\n", 1)), "bytes in a field");
    let accepted = stream("N a 5:abcde 0:\nN b\n", 2);
    assert!(
        decode(
            &[b"012345678\n".to_vec(), accepted].concat(),
            &nonce(),
            limits
        )
        .is_ok()
    );
}

#[test]
fn an_error_stays_and_what_was_whole_before_it_is_there() {
    let mut decoder = Decoder::new(&nonce(), Limits::default());
    let error = decoder
        .push(&stream("N a\nfake\n", 1))
        .expect_err("garbage");
    assert_eq!(decoder.push(&stream("N b\n", 1)), Err(error.clone()));
    assert_eq!(decoder.finish(), Err(error));
    assert_eq!(decoder.next_record().expect("whole").kind, "a");
    assert_eq!(decoder.next_record(), None);
}

#[test]
fn the_nonce_is_not_shown() {
    assert!(!format!("{:?}", nonce()).contains(nonce().as_str()));
    assert_ne!(nonce().child("a"), nonce().child("b"));
    assert_eq!(nonce().child("a").as_str().len(), 32);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        // What looks like the form.
        prop::sample::select(vec![
            b"\n".to_vec(),
            b" <\n".to_vec(),
            b"\n >\n".to_vec(),
            [b"\n".as_slice(), nonce().as_str().as_bytes()].concat(),
            [b"\n".as_slice(), nonce().as_str().as_bytes(), b" "].concat(),
            b"clearway/1 ".to_vec(),
        ]),
    ]
}

fn records() -> impl Strategy<Value = Vec<Written>> {
    let kind = prop::sample::select(vec!["a", "file-1", "abcdefghijklmnopqrstuvwxyz012345"]);
    let record = (
        kind,
        prop::collection::vec(bytes(), 0..4),
        prop::option::of(bytes()),
    );
    prop::collection::vec(record, 0..6)
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        records in records(),
        noise in prop::collection::vec(any::<u8>(), 0..50),
        cuts in prop::collection::vec(1usize..40, 1..20),
    ) {
        let stream = [noise, written(&nonce(), &records)].concat();
        let mut decoder = Decoder::new(&nonce(), Limits::default());
        let mut rest = stream.as_slice();
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().expect("cycle")));
            decoder.push(now).expect("good");
            rest = later;
        }
        decoder.finish().expect("whole");
        for (kind, fields, span) in records {
            let record = decoder.next_record().expect("as many");
            prop_assert_eq!(record.kind, kind);
            prop_assert_eq!(record.fields, fields);
            prop_assert_eq!(record.span, span);
        }
        prop_assert_eq!(decoder.next_record(), None);
    }

    #[test]
    fn no_shortened_answer_is_taken_for_whole(records in records(), at in any::<prop::sample::Index>()) {
        let stream = written(&nonce(), &records);
        let at = at.index(stream.len());
        prop_assert!(decode(&stream[..at], &nonce(), Limits::default()).is_err());
    }

    #[test]
    fn a_changed_byte_is_an_error_or_inside_a_value(
        records in records(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut stream = written(&nonce(), &records);
        let at = at.index(stream.len());
        stream[at] = byte;
        // Whatever comes out, there are not more records than were written, and nothing panics.
        if let Ok(read) = decode(&stream, &nonce(), Limits::default()) {
            prop_assert_eq!(read.len(), records.len());
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let n = nonce();
        let head = format!("clearway/1 {}\n{} ", n.as_str(), n.as_str()).into_bytes();
        prop_assert!(decode(&bytes, &n, Limits::default()).is_err());
        let _ = decode(&[head, bytes].concat(), &n, Limits::default());
    }
}
