use super::*;
use crate::signature::Signed;

const BODY: &[u8] = b"{}";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn proofs(schemes: &[Scheme]) -> Proofs {
    let signatures = Signatures::new(&schemes.iter().copied().collect(), SigningKey::from_random([9; 32]));
    let patch = ProofsPatch { signatures: Some(signatures), ..ProofsPatch::default() };
    Proofs::v1(SigningSecret::from_random([1; 32])).patched(patch, at(0))
}

fn rotated(proofs: &Proofs, number: u8, now: Timestamp) -> Proofs {
    let rotation =
        Rotation { secret: SigningSecret::from_random([number; 32]), key: SigningKey::from_random([number + 100; 32]) };
    proofs.patched(ProofsPatch { rotation: Some(rotation), ..ProofsPatch::default() }, now)
}

fn sent(proofs: &Proofs, now: Timestamp) -> BTreeMap<&'static str, String> {
    let headers = proofs.headers("msg_1", now, BODY).into_iter();
    headers.map(|(name, value)| (name, value.expose().to_owned())).collect()
}

/// Whether a receiver that has only this secret takes what is sent at `now`.
fn takes(secret: &SigningSecret, proofs: &Proofs, now: Timestamp) -> bool {
    let headers = sent(proofs, now);
    let signature = &headers[SIGNATURE_HEADER];
    secret.verify(&Signed { id: "msg_1", timestamp: &headers[TIMESTAMP_HEADER], signature, body: BODY }, now).is_ok()
}

#[test]
fn each_way_to_sign_has_its_header() {
    let ids = [ID_HEADER, TIMESTAMP_HEADER];
    for (scheme, header) in
        Scheme::ALL.iter().zip([SIGNATURE_HEADER, SIGNATURE_HEADER, "x-hub-signature-256", "x-signature"])
    {
        let headers = sent(&proofs(&[*scheme]), at(0));
        assert_eq!(
            headers.keys().copied().collect::<BTreeSet<_>>(),
            [&ids[..], &[header]].concat().into_iter().collect()
        );
        assert_eq!(Scheme::parse(scheme.as_str()), Some(*scheme));
    }
    let all = sent(&proofs(&Scheme::ALL), at(0));
    let versions: Vec<&str> = all[SIGNATURE_HEADER].split(' ').filter_map(|one| one.split(',').next()).collect();
    assert_eq!((all.len(), versions), (5, vec!["v1", "v1a"]));
}

#[test]
fn after_a_rotation_the_old_and_the_new_secret_sign_for_a_day() {
    let before = proofs(&Scheme::ALL);
    let after = rotated(&before, 2, at(0));
    let (old, new) = (&before.secret.current, &after.secret.current);
    let day = 24 * 60 * 60;
    for (second, old_signs) in [(0, true), (day - 1, true), (day, false), (day + 1, false)] {
        let now = at(second);
        assert!(takes(new, &after, now), "{second}");
        assert_eq!(takes(old, &after, now), old_signs, "{second}");
        assert_eq!(after.secret.overlaps_until(now), old_signs.then_some(at(day)));
        let signatures = sent(&after, now)[SIGNATURE_HEADER].split(' ').count();
        assert_eq!(signatures, if old_signs { 4 } else { 2 }, "v1 and v1a each");
        assert_eq!(after.public_keys(now).len(), if old_signs { 2 } else { 1 });
    }
    let single = &sent(&after, at(0))["x-hub-signature-256"];
    assert_eq!((single, single), (&new.sign_body(BODY), &sent(&after, at(0))["x-signature"]));
}

#[test]
fn a_rotation_that_is_repeated_loses_nothing() {
    let before = proofs(&[Scheme::Code(Code::V1)]);
    let once = rotated(&before, 2, at(0));
    assert_eq!(rotated(&once, 2, at(1)), once);
    let twice = rotated(&once, 3, at(60));
    assert!([&before, &once, &twice].iter().all(|of| takes(&of.secret.current, &twice, at(60))));
    let many = (4..9).fold(twice, |proofs, number| rotated(&proofs, number, at(120)));
    assert_eq!((many.secret.older.len(), many.secret.overlapping(at(120))), (OLDER_LIMIT, OLDER_LIMIT));
    let later = rotated(&many, 20, at(100_000));
    assert_eq!(later.secret.older.len(), 1, "what has ended is forgotten");
    assert!(later.key.is_none(), "a rotation makes no key where none is wanted");
}

#[test]
fn a_key_stays_until_it_is_not_wanted_any_more() {
    let wanted = |schemes: &[Scheme], fresh| ProofsPatch {
        signatures: Some(Signatures::new(&schemes.iter().copied().collect(), SigningKey::from_random([fresh; 32]))),
        ..ProofsPatch::default()
    };
    let first = proofs(&[Scheme::V1a]);
    assert_eq!(first.patched(wanted(&[Scheme::V1a], 7), at(0)), first);
    let without = first.patched(wanted(&[Scheme::Code(Code::Signature)], 7), at(0));
    assert_eq!(without.schemes(), BTreeSet::from([Scheme::Code(Code::Signature)]));
    assert_ne!(without.patched(wanted(&[Scheme::V1a], 7), at(0)).key, first.key);
}

#[test]
fn an_authorization_is_what_a_header_can_hold() {
    let value = |made: Result<Authorization, String>| made.unwrap().value();
    assert_eq!(value(Authorization::basic("alice", "canary")), "Basic YWxpY2U6Y2FuYXJ5");
    assert_eq!(value(Authorization::basic("é", "a:b")), "Basic w6k6YTpi");
    assert_eq!(value(Authorization::bearer("canary")), "Bearer canary");
    assert_eq!(value(Authorization::verbatim("Token a b")), "Token a b");
    for wrong in [
        Authorization::basic("a:b", "canary"),
        Authorization::basic("a", "canary\n"),
        Authorization::basic("", ""),
        Authorization::basic("a", &"canary".repeat(200)),
        Authorization::bearer(""),
        Authorization::bearer("can ary"),
        Authorization::bearer("canaryé"),
        Authorization::verbatim(""),
        Authorization::verbatim(" canary"),
        Authorization::verbatim("canary\r\nx: y"),
    ] {
        let problem = wrong.unwrap_err();
        assert!(!problem.contains("canary"), "{problem}");
    }
}

#[test]
fn a_proof_and_a_header_of_the_owner_do_not_overwrite_each_other() {
    let headers = |name: &str| BTreeMap::from([(name.to_owned(), Secret::new("canary"))]);
    let mut all = proofs(&Scheme::ALL);
    assert_eq!(all.conflict(&headers("authorization")), None);
    assert_eq!(all.conflict(&headers("x-signature")), Some("x-signature"));
    all.authorization = Some(Authorization::bearer("canary").unwrap());
    assert_eq!(all.conflict(&headers("authorization")), Some("authorization"));
    let shown = format!("{all:?}");
    assert!(!shown.contains("canary") && !shown.contains(&all.secret.current.expose()), "{shown}");
}
